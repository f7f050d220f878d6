// One monitor: what it is, its life, and what can be done with it.

import { useState } from "./preact-hooks.mjs";
import { call, get, monitorPath, now, post, restart, start } from "./api.mjs";
import { addressOf, useAction, useLive } from "./hooks.mjs";
import { Dialog, Facts, Failure, Field, Flags, JOB_ENDS, Labels, Progress, Said, State, Table, Text, Title, Wait, When, clock, duration, html, isGiven } from "./parts.mjs";
import { Timeline, wordOf } from "./timeline.mjs";

export function Monitor({ id, may }) {
  const live = useLive(id, 2, (signal) => get(monitorPath(id), {}, signal));
  const sources = useLive("sources", 60, (signal) => get("sources", {}, signal));
  if (!live.data) return html`<${Title} name=${id} /><${Failure} error=${live.error} />${!live.error && html`<${Wait} />`}`;
  const row = live.data.monitor;
  const source = sources.data?.sources.find((each) => each.name === row.source);
  return html`<${Title} name=${row.jobId.slice(0, 200)}><bdi>${row.jobId.slice(0, 200)}</bdi><//>
    <p class="lead"><${State} name=${row.state} /> <${Flags} row=${row} />
      <a href=${addressOf([], { source: row.source })}><bdi>${row.source}</bdi></a>
      ${source?.pausedSince && row.state === "Monitoring" && html`<span class="flag paused" title="Somebody holds the polls of the source">source paused</span>`}
      <span>run ${row.run}</span> <${Labels} labels=${row.labels} /></p>
    ${live.error && html`<${Failure} error=${live.error} />`}
    <${Actions} row=${row} source=${source} may=${may} reload=${live.reload} />
    <section aria-labelledby="now-heading"><h2 id="now-heading">${row.state === "Monitoring" ? "Now" : "The end"}</h2>
      <${Progress} row=${row} wide=${true} />
      <${Facts} of=${nowOf(row, live.data.sweep)} /></section>
    <section aria-labelledby="life-heading"><h2 id="life-heading">Time line</h2><${Life} id=${id} shown=${live.data} /></section>
    ${live.data.notices.length > 0 && html`<section aria-labelledby="notices-heading"><h2 id="notices-heading">Notices</h2><${Notices} of=${live.data.notices} /></section>`}
    ${row.result !== null && html`<section aria-labelledby="result-heading"><h2 id="result-heading">Result</h2>
      <pre tabindex="0" aria-labelledby="result-heading"><${Text} value=${pretty(row.result, row.resultCut)} cut=${20_000} /></pre>
      ${row.resultCut && html`<p class="hint">The result was longer: this is its beginning.</p>`}</section>`}
    <section aria-labelledby="settings-heading"><h2 id="settings-heading">Settings</h2><${Facts} of=${settingsOf(row, live.data)} /></section>`;
}

const nowOf = (row, sweep) => [
  ["Message", row.message && html`<${Text} value=${row.message} />`],
  ["Status in the source", row.rawStatus && html`<${Text} value=${row.rawStatus} />`],
  ["Reason of the end", row.reason && html`<${Text} value=${row.reason} />`],
  ["Outcome of the last poll", row.outcome],
  ["Trouble", row.detail && html`<${Text} value=${row.detail} />`],
  ["Failures in a row", row.failures || null],
  ["Started", html`<${When} at=${row.startedAt} tick />`],
  ["Ended", row.endedAt && html`<${When} at=${row.endedAt} />`],
  ["Last poll", row.lastPollAt && html`<${When} at=${row.lastPollAt} tick />`],
  ["Next poll", row.nextPollAt && row.state === "Monitoring" && html`<${When} at=${row.nextPollAt} tick planned every=${row.pollIntervalSeconds} />`],
  ["Polls", row.polls],
  ["Polls that failed", row.failedPolls || null],
  ["Last hint", row.hintedAt && html`<${When} at=${row.hintedAt} tick />`],
  ["Sweep", sweep && (sweep.fresh ? "looks at the job for the watch" : "silent: the watch goes back to its own polls")],
  ["Last look", sweep && html`<${When} at=${sweep.lastLookAt} tick />`],
  ["Asked to stop", row.stop && html`<${Text} value=${`${row.stop.reason}${row.stop.by ? ` (${row.stop.by})` : ""}`} />`],
  ["Cancel", row.cancelResult && html`<${Text} value=${row.cancelResult} />`],
];

const settingsOf = (row, shown) => [
  ["Monitor", html`<code>${row.id}</code>`],
  ["Expires", html`<${When} at=${row.expireTime} />`],
  ["Poll interval", duration(row.pollIntervalSeconds)],
  ["On expiry", row.onExpiry === "cancel" ? "cancel the job" : "leave the job alone"],
  ["Overdue after", row.warnAfterSeconds && duration(row.warnAfterSeconds)],
  ["Stalled after", row.stallAfterSeconds && duration(row.stallAfterSeconds)],
  ["Tells", row.notify?.length ? row.notify.join(", ") : null],
  ["Instance", shown.runtimeStatus ?? "none"],
];

/** A notice a row, with each channel that it went to. */
const Notices = ({ of }) => html`<${Table} name="Notices" columns=${["Event", "Written", "Channel", "State", "Attempts", "Last", "Why"]}
  rows=${of.flatMap((notice) => Object.entries(notice.channels).map(([name, told]) => [
    notice.event, html`<${When} at=${notice.at} />`, name,
    html`<span class=${FLAGGED[told.state]}>${TOLD[told.state] ?? told.state}</span>`, told.attempts,
    html`<${When} at=${told.at} />${told.nextAt && told.state === "waiting" && html`, next <${When} at=${told.nextAt} planned />`}`,
    html`<${Text} value=${told.detail} cut=${300} />`,
  ]))} />`;

const FLAGGED = { waiting: "flag", givenUp: "flag blind" };

const TOLD = { waiting: "waiting", delivered: "delivered", givenUp: "given up", replaced: "replaced by a newer one", filtered: "filtered" };

function pretty(text, cut) {
  if (cut) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function Life({ id, shown }) {
  const [earlier, setEarlier] = useState(null);
  const more = useAction();
  // Lines that were loaded keep standing before the newest, which come with each look.
  const newest = shown.log;
  const log = [...(earlier ?? []).filter((line) => !newest.some((each) => each.at === line.at && each.event === line.event && each.run === line.run)), ...newest];
  const load = () => more.run(async () => {
    const lines = [];
    for (let after = 0; after !== null && lines.length < 1_000;) {
      const page = await get(monitorPath(id), { logAfter: after || "0" });
      lines.push(...page.log);
      after = page.logNext;
    }
    setEarlier(lines);
  });
  return html`<${Timeline} log=${log} monitor=${shown.monitor} />
    <details open=${log.length <= 20}><summary>Log: ${log.length} of ${shown.logLines} lines</summary>
      ${shown.logLines > log.length && !earlier && html`<p><button type="button" onClick=${load} disabled=${more.busy}>Load earlier lines</button></p>`}
      <${Failure} error=${more.error} />
      <${Table} name="Log" kind="log" columns=${["Time", "Run", "Event", "From", "To", "Why", "By"]} rows=${log.slice().reverse().map((line) => [
        html`<time datetime=${line.at}>${clock(line.at)}</time>`, line.run, WORDS[line.event] ?? wordOf(line),
        ...[line.from, line.to, line.reason].map((text) => html`<${Text} value=${text} cut=${300} />`), html`<bdi>${line.by}</bdi>`])} />
    </details>`;
}

const WORDS = { started: "Started", ended: "Ended", status: "Status", delivered: "Notice delivered", notDelivered: "Notice not delivered", givenUp: "Notice given up" };

function Actions({ row, source, may, reload }) {
  const action = useAction();
  const [asks, ask] = useState(null);
  const live = row.state === "Monitoring";
  const run = (act) => action.run(async () => {
    const said = await act();
    reload();
    return said;
  });
  const button = (role, words, act, kind = "") => may(role) && html`
    <button type="button" class=${kind} disabled=${action.busy} onClick=${act}>${words}</button>`;
  const change = (body, said) => run(async () => {
    await call("PATCH", monitorPath(row.id), { body });
    return said;
  });
  const stop = (cancelJob) => run(async () => {
    const { monitor } = await post(monitorPath(row.id, "/stop"), { cancelJob, reason: "Stopped on the page." });
    if (monitor.state !== "Monitoring") return cancelJob ? `The watch had ended. The source's word on the cancel: ${monitor.cancelResult}.` : "The watch had ended.";
    // An earlier wish to cancel the job stays.
    return monitor.stop?.cancelJob ? "The job is being cancelled, and the watch ends." : "The watch ends. The job goes on.";
  });
  const canCancel = source?.cancelsJobs && !JOB_ENDS.includes(row.state) && row.cancelResult !== "accepted";
  return html`<div class="actions" role="group" aria-label="Actions">
    ${live && !row.paused && !source?.pausedSince && button("start", "Look now", () => run(async () => {
      const { monitor } = await post(monitorPath(row.id, "/notify"));
      return monitor.state === "Monitoring" ? "The watch polls now." : "The watch has ended.";
    }))}
    ${live && button("start", row.paused ? "Go on" : "Pause", () => change({ paused: !row.paused }, row.paused ? "The polls go on." : "The polls are held. The watch still expires."))}
    ${live && button("start", "Change …", () => ask("change"))}
    ${live && button("start", "Restart", () => run(async () => {
      const monitor = await restart(row.id);
      return `The watch began anew, as run ${monitor.run}.`;
    }))}
    ${live && button("stop", "Stop", () => stop(false), "danger")}
    ${canCancel && button("stop", live ? "Stop and cancel the job …" : "Cancel the job …", () => ask("cancel"), "danger")}
    ${!live && button("start", "Watch again", () => run(async () => {
      const monitor = await start(startOf(row));
      return `Run ${monitor.run} of the watch began.`;
    }), "primary")}
    </div><${Said} action=${action} />
    ${asks === "cancel" && html`<${Dialog} title="Cancel the job?" onClose=${() => ask(null)}>
      <p>Source <b><bdi>${row.source}</bdi></b> is asked to cancel its job <b><bdi>${row.jobId.slice(0, 200)}</bdi></b>. This can't be taken back.</p>
      <p class="buttons"><button type="button" class="danger" onClick=${() => { ask(null); stop(true); }}>Cancel the job</button>
        <button type="button" autofocus onClick=${() => ask(null)}>Leave it alone</button></p><//>`}
    ${asks === "change" && html`<${Change} row=${row} onClose=${() => ask(null)} done=${(said) => run(async () => said)} />`}`;
}

/** The request that begins the next run of a watch with the settings of this one. */
function startOf(row) {
  const body = { fresh: true };
  for (const name of ["source", "jobId", "labels", "onExpiry", "pollIntervalSeconds", "timeoutSeconds", "warnAfterSeconds", "stallAfterSeconds", "notify"]) {
    if (isGiven(row[name])) body[name] = row[name];
  }
  if (!body.timeoutSeconds) {
    // It had a moment to expire at. Once that is over, the next run lasts as long as this one might have.
    const expires = Date.parse(row.expireTime);
    if (expires > now() + 1000) body.expireTime = row.expireTime;
    else body.timeoutSeconds = Math.max(1, Math.round((expires - Date.parse(row.startedAt)) / 1000));
  }
  return body;
}

function Change({ row, onClose, done }) {
  const action = useAction();
  const [expires, setExpires] = useState(localText(row.expireTime));
  const [interval, setInterval_] = useState(String(row.pollIntervalSeconds));
  const faults = action.error?.errors ?? [];
  const submit = (event) => {
    event.preventDefault();
    const body = {};
    if (expires !== localText(row.expireTime)) body.expireTime = Number.isNaN(Date.parse(expires)) ? expires : new Date(expires).toISOString();
    if (interval !== String(row.pollIntervalSeconds)) body.pollIntervalSeconds = Number(interval);
    action.run(async () => {
      const changed = Object.keys(body).length > 0 && (await call("PATCH", monitorPath(row.id), { body })).monitor;
      onClose();
      done(changed ? `The watch expires ${clock(changed.expireTime)}, and polls every ${duration(changed.pollIntervalSeconds)}.` : "Nothing was changed.");
    });
  };
  return html`<${Dialog} title="Change the watch" onClose=${onClose}><form onSubmit=${submit} novalidate>
    <${Field} label="Expires" name="expireTime" faults=${faults} hint="In the time of this machine.">
      ${(props) => html`<input ...${props} type="datetime-local" step="1" value=${expires} onInput=${(event) => setExpires(event.target.value)} />`}<//>
    <${Field} label="Poll every … seconds" name="pollIntervalSeconds" faults=${faults}>
      ${(props) => html`<input ...${props} type="number" min="1" value=${interval} onInput=${(event) => setInterval_(event.target.value)} />`}<//>
    ${action.error && html`<${Failure} error=${{ message: action.error.message, errors: faults.filter((each) => !["expireTime", "pollIntervalSeconds"].includes(each.field)) }} />`}
    <p class="buttons"><button class="primary" disabled=${action.busy}>Change</button><button type="button" onClick=${onClose}>Leave it</button></p>
  </form><//>`;
}

/** A moment as an input of a local time has it, to the second. */
function localText(moment) {
  const at = new Date(moment);
  return new Date(at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
