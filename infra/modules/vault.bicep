// The vault for secrets of the sources. The template holds none: people write them to the vault.
param name string
param location string
param tags object
param private bool
param allowlist array
param workspaceId string

var addresses = [for address in allowlist: { value: address }]

resource vault 'Microsoft.KeyVault/vaults@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: { family: 'A', name: 'standard' }
    enableRbacAuthorization: true
    // No purge protection: a removed environment could not be deployed again for as long.
    enableSoftDelete: true
    softDeleteRetentionInDays: 7
    publicNetworkAccess: private && empty(allowlist) ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: private ? 'Deny' : 'Allow'
      ipRules: addresses
    }
  }
}

resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-log-analytics'
  scope: vault
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'AuditEvent', enabled: true }]
  }
}

output id string = vault.id
