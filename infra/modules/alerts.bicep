// Alerts on what Job Monitor itself says. Events are JSON objects in the message of a trace: see
// adapters/event_log.py.
param location string
param tags object
param workspaceId string
param email string

var monitorUnseen = '''
AppTraces
| where Message startswith "{"
| extend told = parse_json(Message)
| extend event = tostring(told.event), monitor = tostring(told.monitor)
| where event in ("stale", "blind")
| project TimeGenerated, event, monitor
'''

// Once or twice is put right by the next try.
var finalNotStored = '''
AppTraces
| where Message startswith "{"
| extend told = parse_json(Message)
| extend event = tostring(told.event), monitor = tostring(told.monitor)
| where event == "notStored" and toint(told.storeAttempts) >= 3
| project TimeGenerated, event, monitor
'''

var cleanupRan = '''
AppRequests
| where Name has "DoCleanup" and Success == true
'''

// An HTTP function that refuses a request has not failed.
var functionFailed = '''
AppRequests
| where Success == false and coalesce(toint(ResultCode), 0) !between (400 .. 499)
| project TimeGenerated, Name, ResultCode
'''

var rules = [
  {
    name: 'monitor-stale-or-blind'
    text: 'A monitor has not polled for three intervals, or can not see its job.'
    severity: 2
    query: monitorUnseen
    every: 'PT5M'
    window: 'PT15M'
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'final-status-not-stored'
    text: 'The table does not take how monitors ended. It is tried again until it does.'
    severity: 1
    query: finalNotStored
    every: 'PT15M'
    window: 'PT1H'
    operator: 'GreaterThan'
    threshold: 0
  }
  {
    name: 'cleanup-not-run'
    text: 'PeriodicCleanup has not run for three intervals: what is past its retention stays.'
    severity: 2
    query: cleanupRan
    every: 'PT1H'
    window: 'PT3H'
    operator: 'LessThan'
    threshold: 1
  }
  {
    name: 'function-failed'
    text: 'A function has failed.'
    severity: 2
    query: functionFailed
    every: 'PT15M'
    window: 'PT15M'
    operator: 'GreaterThan'
    threshold: 0
  }
]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-job-monitor'
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'jobmonitor'
    enabled: true
    emailReceivers: empty(email) ? [] : [{ name: 'email', emailAddress: email, useCommonAlertSchema: true }]
  }
}

resource alerts 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [for rule in rules: {
  name: rule.name
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: 'Job Monitor: ${rule.name}'
    description: rule.text
    enabled: true
    severity: rule.severity
    scopes: [workspaceId]
    evaluationFrequency: rule.every
    windowSize: rule.window
    autoMitigate: true
    // A new workspace does not have the tables of Application Insights yet.
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: rule.query
          timeAggregation: 'Count'
          operator: rule.operator
          threshold: rule.threshold
          failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
        }
      ]
    }
    actions: { actionGroups: [people.id] }
  }
}]
