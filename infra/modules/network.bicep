// A network for the app, and private endpoints for its storage and its vault.
param token string
param location string
param tags object
param storageId string
param vaultId string

var blobZone = 'privatelink.blob.${environment().suffixes.storage}'
var queueZone = 'privatelink.queue.${environment().suffixes.storage}'
var tableZone = 'privatelink.table.${environment().suffixes.storage}'
// In the public cloud '.vault.azure.net', which gives 'privatelink.vaultcore.azure.net'.
var vaultZone = 'privatelink${replace(environment().suffixes.keyvaultDns, '.vault.', '.vaultcore.')}'
var services = [
  { group: 'blob', zone: blobZone, target: storageId }
  { group: 'queue', zone: queueZone, target: storageId }
  { group: 'table', zone: tableZone, target: storageId }
  { group: 'vault', zone: vaultZone, target: vaultId }
]

resource network 'Microsoft.Network/virtualNetworks@2024-10-01' = {
  name: 'vnet-job-monitor-${token}'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: ['10.0.0.0/16'] }
    // Declared inside the network: a new deployment of the network would remove separate subnets.
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: '10.0.0.0/24'
          delegations: [
            { name: 'flex', properties: { serviceName: 'Microsoft.App/environments' } }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: '10.0.1.0/24'
          privateEndpointNetworkPolicies: 'Disabled'
        }
      }
    ]
  }
}

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [for service in services: {
  name: service.zone
  location: 'global'
  tags: tags
}]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [for (service, i) in services: {
  parent: zones[i]
  name: 'link-${token}'
  location: 'global'
  tags: tags
  properties: {
    registrationEnabled: false
    virtualNetwork: { id: network.id }
  }
}]

// One after the other: endpoints that are made in parallel in one subnet are known to fail.
@batchSize(1)
resource endpoints 'Microsoft.Network/privateEndpoints@2024-10-01' = [for service in services: {
  name: 'pe-${service.group}-${token}'
  location: location
  tags: tags
  properties: {
    subnet: { id: '${network.id}/subnets/endpoints' }
    privateLinkServiceConnections: [
      {
        name: service.group
        properties: {
          privateLinkServiceId: service.target
          groupIds: [service.group]
        }
      }
    ]
  }
}]

resource records 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-10-01' = [for (service, i) in services: {
  parent: endpoints[i]
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      { name: service.group, properties: { privateDnsZoneId: zones[i].id } }
    ]
  }
}]

output appSubnetId string = '${network.id}/subnets/app'
