// Job Monitor in a resource group of its own. README.md beside this file lists the resources.
targetScope = 'subscription'

@description('Name of the azd environment; all names follow from it.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('Region of the resource group and all resources.')
param location string

@description('Object id of the principal that may write secrets to the vault. Empty: nobody.')
param principalId string = ''

@description('Address that alerts are sent to. Empty: the portal alone shows them.')
param alertEmail string = ''

@description('Client id of the app registration whose roles let callers in. Empty: function keys do.')
param authClientId string = ''

@description('The backend that keeps the task hub: Azure Storage or the Durable Task Scheduler.')
@allowed(['AzureStorage', 'azureManaged'])
param durableBackend string = 'AzureStorage'

@description('Whether storage and vault are reached through a virtual network only.')
param useVirtualNetwork bool = false

@description('Days for which results and finished instances are kept.')
@minValue(1)
@maxValue(3650)
param retentionDays int = 30

@description('Python of the app.')
@allowed(['3.11', '3.12'])
param pythonVersion string = '3.12'

@description('Memory of an instance.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('The most instances that there may be at once.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('Redundancy of the storage account.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param storageSku string = 'Standard_LRS'

@description('SKU of the Durable Task Scheduler, if it is the backend.')
@allowed(['Consumption', 'Dedicated'])
param schedulerSku string = 'Consumption'

@description('Addresses that may reach the scheduler, beside a token. An empty list denies all.')
param schedulerAllowlist array = ['0.0.0.0/0']

@description('Addresses that may reach the vault when there is a virtual network.')
param vaultAllowlist array = []

@description('More app settings: name and value. They replace settings of the same name.')
param appSettings object = {}

@description('App settings that are secrets: name, and the name of the secret in the vault.')
#disable-next-line secure-secrets-in-params
param secretSettings object = {}

// All names are known before the deployment: with a name from an output, what-if shows nothing.
var token = toLower(uniqueString(subscription().id, environmentName, location))
var identityName = 'id-job-monitor-${token}'
var insightsName = 'appi-job-monitor-${token}'
var storageName = 'stjobmon${token}'
var vaultName = 'kv-jobmon-${token}'
var tags = { 'azd-env-name': environmentName }
var useScheduler = durableBackend == 'azureManaged'

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: identityName
    location: location
    tags: tags
  }
}

module insights 'modules/insights.bicep' = {
  name: 'insights'
  scope: group
  params: {
    name: insightsName
    workspaceName: 'log-job-monitor-${token}'
    location: location
    tags: tags
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    name: storageName
    location: location
    tags: tags
    sku: storageSku
    private: useVirtualNetwork
    workspaceId: insights.outputs.workspaceId
  }
}

module vault 'modules/vault.bicep' = {
  name: 'vault'
  scope: group
  params: {
    name: vaultName
    location: location
    tags: tags
    private: useVirtualNetwork
    allowlist: vaultAllowlist
    workspaceId: insights.outputs.workspaceId
  }
}

module network 'modules/network.bicep' = if (useVirtualNetwork) {
  name: 'network'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
    storageId: storage.outputs.id
    vaultId: vault.outputs.id
  }
}

module scheduler 'modules/scheduler.bicep' = if (useScheduler) {
  name: 'scheduler'
  scope: group
  dependsOn: [identity]
  params: {
    name: 'dts-job-monitor-${token}'
    location: location
    tags: tags
    sku: schedulerSku
    allowlist: schedulerAllowlist
    retentionDays: retentionDays
    identityName: identityName
  }
}

module access 'modules/access.bicep' = {
  name: 'access'
  scope: group
  dependsOn: [identity, insights, storage, vault]
  params: {
    identityName: identityName
    insightsName: insightsName
    storageName: storageName
    vaultName: vaultName
    useScheduler: useScheduler
    deployerPrincipalId: principalId
  }
}

// The host reads its storage and the app its secrets as soon as they start: roles come first.
module app 'modules/app.bicep' = {
  name: 'app'
  scope: group
  dependsOn: [access]
  params: {
    name: 'func-job-monitor-${token}'
    planName: 'plan-job-monitor-${token}'
    location: location
    tags: tags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    storageName: storageName
    deploymentContainerUrl: storage.outputs.deploymentContainerUrl
    insightsConnection: insights.outputs.connection
    workspaceId: insights.outputs.workspaceId
    vaultName: vaultName
    subnetId: useVirtualNetwork ? network!.outputs.appSubnetId : ''
    schedulerEndpoint: useScheduler ? scheduler!.outputs.endpoint : ''
    pythonVersion: pythonVersion
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    retentionDays: retentionDays
    authClientId: authClientId
    appSettings: appSettings
    secretSettings: secretSettings
  }
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    location: location
    tags: tags
    workspaceId: insights.outputs.workspaceId
    email: alertEmail
  }
}

output AZURE_LOCATION string = location
output AZURE_RESOURCE_GROUP string = group.name
output AZURE_FUNCTION_APP_NAME string = app.outputs.name
output AZURE_FUNCTION_APP_URL string = app.outputs.url
output STORAGE_ACCOUNT_NAME string = storageName
output STORAGE_TABLE_ENDPOINT string = storage.outputs.tableEndpoint
output KEY_VAULT_NAME string = vaultName
output APPLICATION_INSIGHTS_NAME string = insightsName
output IDENTITY_NAME string = identityName
// Give this principal its role in each job system that is asked under the identity of the app.
output IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId
output DURABLE_TASK_SCHEDULER_ENDPOINT string = useScheduler ? scheduler!.outputs.endpoint : ''
