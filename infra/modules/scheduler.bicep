// The Durable Task Scheduler, with a task hub of the name in host.json. The app may use the hub.
param name string
param location string
param tags object
param sku string
param allowlist array
param retentionDays int
param identityName string

var durableTaskDataContributor = '0ad04412-c4d5-4796-b79c-f76d14c8d402'
// In days, the longest retention that the scheduler takes.
var largestRetention = 90
var host = loadJsonContent('../../host.json')

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: identityName
}

resource scheduler 'Microsoft.DurableTask/schedulers@2026-02-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    sku: { name: sku }
    ipAllowlist: allowlist
  }
}

resource hub 'Microsoft.DurableTask/schedulers/taskHubs@2026-02-01' = {
  parent: scheduler
  name: host.extensions.durableTask.hubName
  properties: {}
}

// Without a policy the scheduler removes an instance 30 days after its end.
resource retention 'Microsoft.DurableTask/schedulers/retentionPolicies@2026-02-01' = {
  parent: scheduler
  name: 'default'
  properties: {
    retentionPolicies: [{ retentionPeriodInDays: min(retentionDays, largestRetention) }]
  }
}

resource access 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(scheduler.id, identity.id, durableTaskDataContributor)
  scope: scheduler
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', durableTaskDataContributor)
    principalId: identity.properties.principalId
    principalType: 'ServicePrincipal'
  }
}

output endpoint string = scheduler.properties.endpoint
