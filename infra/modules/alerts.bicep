// Alerts on the events that Job Monitor logs, each a JSON object in the message of a trace:
// docs/operations.md lists them. An alert with dimensions fires for each of their values, so that a
// second monitor sends a mail while the first is still in trouble. An alert resolves itself when its
// query finds nothing any more.
param location string
param tags object
param workspaceId string
param email string

var events = '''
AppTraces
| where Message startswith "{"
| extend e = parse_json(Message)
| extend event = tostring(e.event), monitor = tostring(e.monitor), source = tostring(e.source), state = tostring(e.state)
'''

// The watchdog logs "stale" again every five minutes.
var stale = '''
| where event == "stale"
'''

// So it does with "blind".
var blind = '''
| where event == "blind"
'''

var unrecognised = '''
| where event == "unrecognised"
'''

var jobFailed = '''
| where event == "ended" and state in ("Failed", "Lost", "Unreachable", "Expired")
'''

var jobSlow = '''
| where event in ("overdue", "stalled")
'''

// The next try mends one or two failures.
var finalNotStored = '''
| where event == "notStored" and toint(e.storeAttempts) >= 3
'''

// Absence is measured from an event that was there: before the first deployment there is none.
var watchdogNotRun = '''
| where event == "watched"
| summarize last = max(TimeGenerated)
| where last < ago(20m)
'''

var cleanupNotRun = '''
| where event in ("watched", "cleaned")
| summarize first = min(TimeGenerated), last = maxif(TimeGenerated, event == "cleaned")
| where first < ago(3h) and (isnull(last) or last < ago(3h))
'''

var cleanupStuck = '''
| where event == "cleaned"
| summarize removed = sum(toint(e.instances) + toint(e.monitors)), failed = sum(coalesce(toint(e.failed), 0)), finished = countif(not(tobool(e.more))), first = min(TimeGenerated)
| where removed == 0 and (finished == 0 or failed > 0) and first < ago(20h)
'''

var noticeGivenUp = '''
| where event == "noticeGivenUp"
| extend channel = tostring(e.channel)
'''

// An HTTP function that refuses a request has not failed, nor has one that passes on the refusal of a
// job system (502).
var functionFailed = '''
AppRequests
| extend code = coalesce(toint(ResultCode), 0)
| where Success == false and code !between (400 .. 499) and code != 502
'''

var byMonitor = [
  { name: 'monitor', operator: 'Include', values: ['*'] }
  { name: 'source', operator: 'Include', values: ['*'] }
]
var bySource = [{ name: 'source', operator: 'Include', values: ['*'] }]
var byState = concat(byMonitor, [{ name: 'state', operator: 'Include', values: ['*'] }])
var byChannel = [{ name: 'channel', operator: 'Include', values: ['*'] }]
var byFunction = [{ name: 'Name', operator: 'Include', values: ['*'] }]

var rules = [
  {
    name: 'job-not-succeeded'
    text: 'A job failed, or its watch ended without seeing the end of the job.'
    severity: 2
    query: '${events}${jobFailed}'
    every: 'PT5M'
    window: 'PT15M'
    dimensions: byState
  }
  {
    name: 'job-slow'
    text: 'A job runs longer than it should, or does not move.'
    severity: 3
    query: '${events}${jobSlow}'
    every: 'PT15M'
    window: 'PT15M'
    dimensions: byMonitor
  }
  {
    name: 'monitor-stale'
    text: 'A monitor has not polled for three intervals.'
    severity: 2
    query: '${events}${stale}'
    every: 'PT5M'
    window: 'PT15M'
    dimensions: byMonitor
  }
  {
    name: 'monitor-blind'
    text: 'A monitor cannot see its job.'
    severity: 2
    query: '${events}${blind}'
    every: 'PT15M'
    window: 'P2D'
    dimensions: byMonitor
  }
  {
    name: 'status-unrecognised'
    text: 'A source gives a status that job_sources.toml does not list.'
    severity: 3
    query: '${events}${unrecognised}'
    every: 'PT15M'
    window: 'PT1H'
    dimensions: bySource
  }
  {
    name: 'final-status-not-stored'
    text: 'The table does not take the end of a monitor. The app tries again until it does.'
    severity: 1
    query: '${events}${finalNotStored}'
    every: 'PT15M'
    window: 'PT1H'
    dimensions: byMonitor
  }
  {
    name: 'watchdog-not-run'
    text: 'The watchdog has not run for 20 minutes: the app is down, or its store is.'
    severity: 1
    query: '${events}${watchdogNotRun}'
    every: 'PT5M'
    window: 'P2D'
    dimensions: []
  }
  {
    name: 'cleanup-not-run'
    text: 'PeriodicCleanup has not run for three intervals: results past their retention stay.'
    severity: 2
    query: '${events}${cleanupNotRun}'
    every: 'PT1H'
    window: 'P1D'
    dimensions: []
  }
  {
    name: 'cleanup-removes-nothing'
    text: 'No cleanup came to its end for a day, and none removed anything.'
    severity: 3
    query: '${events}${cleanupStuck}'
    every: 'PT1H'
    window: 'P1D'
    dimensions: []
  }
  {
    name: 'notice-given-up'
    text: 'A channel did not take a notice for a day: nobody was told. It can be sent again.'
    severity: 2
    query: '${events}${noticeGivenUp}'
    every: 'PT15M'
    window: 'PT15M'
    dimensions: byChannel
  }
  {
    name: 'function-failed'
    text: 'A function failed.'
    severity: 2
    query: functionFailed
    every: 'PT15M'
    window: 'PT15M'
    dimensions: byFunction
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
          dimensions: rule.dimensions
          operator: 'GreaterThan'
          threshold: 0
          failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
        }
      ]
    }
    actions: { actionGroups: [people.id] }
  }
}]
