// The vault for the secrets of the sources. No template holds a secret: people write them to the vault.
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
    // No purge protection: with it the name of a removed vault stays taken, and the environment cannot
    // be deployed again for that time.
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
