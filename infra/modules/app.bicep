// The plan and the function app, with all its settings.
param name string
param planName string
param location string
param tags object
param identityId string
param identityClientId string
param storageName string
param deploymentContainerUrl string
param insightsConnection string
param workspaceId string
param vaultName string
param subnetId string
param schedulerEndpoint string
param pythonVersion string
param instanceMemoryMB int
param maximumInstanceCount int
param retentionDays int
param appSettings object
param secretSettings object

var durable = loadJsonContent('../../host.json').extensions.durableTask

// Shared by the host and, for the monitors' table, by the app: see adapters/settings.py.
var storageSettings = {
  AzureWebJobsStorage__accountName: storageName
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
}

var ownSettings = {
  APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnection
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'Authorization=AAD;ClientId=${identityClientId}'
  // For sources that take a token of this identity: client_id = "${AZURE_CLIENT_ID}"
  AZURE_CLIENT_ID: identityClientId
  // job_sources.toml as it comes names it; nothing of this app listens there.
  DEMO_JOB_SERVICE_URL: 'http://127.0.0.1:8077'
  // As many threads as functions at once, or they would wait for each other.
  PYTHON_THREADPOOL_THREAD_COUNT: string(durable.maxConcurrentActivityFunctions)
  RETENTION_DAYS: string(retentionDays)
}

// These override host.json, which is the same for both backends.
var schedulerSettings = {
  AzureFunctionsJobHost__extensions__durableTask__storageProvider__type: 'azureManaged'
  AzureFunctionsJobHost__extensions__durableTask__storageProvider__connectionStringName: 'DURABLE_TASK_SCHEDULER_CONNECTION_STRING'
  DURABLE_TASK_SCHEDULER_CONNECTION_STRING: 'Endpoint=${schedulerEndpoint};TaskHub=${durable.hubName};Authentication=ManagedIdentity;ClientID=${identityClientId}'
}

var settings = union(storageSettings, ownSettings, empty(schedulerEndpoint) ? {} : schedulerSettings, appSettings)
var plainList = [for setting in items(settings): { name: setting.key, value: setting.value }]
var secretList = [for setting in items(secretSettings): {
  name: setting.key
  value: '@Microsoft.KeyVault(VaultName=${vaultName};SecretName=${setting.value})'
}]

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'app' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: deploymentContainerUrl
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: { name: 'python', version: pythonVersion }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        // Timers of monitors fall due when nothing else calls the app.
        alwaysReady: [{ name: 'durable', instanceCount: 1 }]
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      appSettings: concat(plainList, secretList)
    }
  }
}

// Deployment by tokens only, not by the site's user name and password.
resource publishing 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = [for kind in ['ftp', 'scm']: {
  parent: app
  name: kind
  properties: { allow: false }
}]

// They tell what went wrong when Application Insights can't: a missing role, a host that won't start.
resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'to-log-analytics'
  scope: app
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'FunctionAppLogs', enabled: true }]
    metrics: [{ category: 'AllMetrics', enabled: true }]
  }
}

output name string = app.name
output url string = 'https://${app.properties.defaultHostName}'
