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
param authClientId string
param appSettings object
// Names of secrets, not the secrets.
#disable-next-line secure-secrets-in-params
param secretSettings object

var durable = loadJsonContent('../../host.json').extensions.durableTask

// The host uses these, and the app for the monitors' table: see adapters/settings.py.
var storageSettings = {
  AzureWebJobsStorage__accountName: storageName
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
}

var ownSettings = {
  APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnection
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'Authorization=AAD;ClientId=${identityClientId}'
  // The app asks for roles exactly if the platform checks the callers: see authentication below.
  AUTH: empty(authClientId) ? 'keys' : 'entra'
  // A source that takes a token of this identity says client_id = "${AZURE_CLIENT_ID}".
  AZURE_CLIENT_ID: identityClientId
  // The demo source of job_sources.toml needs the setting; nothing listens there in Azure.
  DEMO_JOB_SERVICE_URL: 'http://127.0.0.1:8077'
  // Activities and orchestrators share the threads: with fewer than both limits together, polls of a
  // slow source hold up the orchestrators. Eight are to spare.
  PYTHON_THREADPOOL_THREAD_COUNT: string(durable.maxConcurrentActivityFunctions + durable.maxConcurrentOrchestratorFunctions + 8)
  RETENTION_DAYS: string(retentionDays)
}

// host.azureManaged.json, which is deployed as host.json with this backend, names the setting.
var schedulerSettings = {
  DURABLE_TASK_SCHEDULER_CONNECTION_STRING: 'Endpoint=${schedulerEndpoint};TaskHub=${durable.hubName};Authentication=ManagedIdentity;ClientID=${identityClientId}'
}

// Of two settings with one name the later wins, so that no name is there twice.
var settings = union(storageSettings, ownSettings, empty(schedulerEndpoint) ? {} : schedulerSettings, appSettings, secretSettings)
var settingList = [for setting in items(settings): {
  name: setting.key
  value: contains(secretSettings, setting.key) ? '@Microsoft.KeyVault(VaultName=${vaultName};SecretName=${setting.value})' : setting.value
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
        // durable: timers of monitors fall due when nothing else calls the app. http: a start or a
        // hint does not wait for a cold start.
        alwaysReady: [
          { name: 'durable', instanceCount: 1 }
          { name: 'http', instanceCount: 1 }
        ]
        // If not set, Python takes one request at a time: 50 starts at once would be 50 instances.
        triggers: { http: { perInstanceConcurrency: 16 } }
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      appSettings: settingList
    }
  }
}

// The platform checks the tokens of callers, and sets the headers that the app reads roles from. Health
// and the description are for everybody, and hints have a signature. Without an app registration this is off, and function keys let callers in.
resource authentication 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: { enabled: !empty(authClientId) }
    globalValidation: {
      requireAuthentication: true
      unauthenticatedClientAction: 'Return401'
      excludedPaths: ['/api/health', '/api/openapi.json', '/api/ui', '/api/ui/*', '/api/hints/*']
    }
    httpSettings: { requireHttps: true }
    identityProviders: {
      azureActiveDirectory: {
        enabled: !empty(authClientId)
        registration: {
          clientId: authClientId
          openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
        }
        validation: { allowedAudiences: [authClientId, 'api://${authClientId}'] }
      }
    }
    login: { tokenStore: { enabled: false } }
  }
}

// Deployment by tokens only, not by the site's user name and password.
resource ftpPublishing 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'ftp'
  properties: { allow: false }
}

resource scmPublishing 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'scm'
  properties: { allow: false }
}

// These logs show the faults that keep Application Insights silent: a missing role, a host that does
// not start. docs/deploy.md says what they cost.
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
