// The sources: their state, the last day, a dry run.

import { useState } from "./preact-hooks.mjs";
import { call, get, post } from "./api.mjs";
import { addressOf, useAction, useLive } from "./hooks.mjs";
import { Facts, Failure, Field, STATES, Said, State, Table, Text, Title, Wait, When, duration, html, isGiven } from "./parts.mjs";

export function Sources({ may }) {
  const live = useLive("sources", 15, (signal) => get("sources", {}, signal));
  const counts = useLive("counts", 15, (signal) => get("counts", {}, signal));
  const { data } = live;
  return html`<${Title} name="Sources" />
    <${Failure} error=${live.error ?? counts.error} />
    ${!data && !live.error && html`<${Wait} />`}
    ${data?.errors.length > 0 && html`<${Failure} error=${{ message: "The sources' files have faults.", errors: data.errors }} />`}
    ${data?.sources.map((source) => html`<${Source} key=${source.name} source=${source} may=${may} reload=${live.reload}
      counts=${counts.data?.sources.find((each) => each.name === source.name)} of=${counts.data} />`)}
    ${data?.disabled.map((source) => html`<section class="card" key=${source.name}><h2>${source.name} <span class="flag blind">disabled</span></h2>
      <${Failure} error=${{ message: "The source can't be used.", errors: source.errors }} /></section>`)}
    ${data && !data.sources.length && !data.disabled.length && html`<p class="empty">No source is configured.</p>`}`;
}

function Source({ source, counts, of, may, reload }) {
  const action = useAction();
  const hold = (what, said) => action.run(async () => {
    await post(`sources/${source.name}/${what}`);
    reload();
    return said;
  });
  return html`<section class="card" aria-labelledby=${`source-${source.name}`}>
    <h2 id=${`source-${source.name}`}>${source.name} ${source.sweep && !source.sweep.fresh && html`<span class="flag stale">sweep silent</span>`} ${source.pausedSince && html`<span class="flag paused">paused</span>`}</h2>
    <p>${source.description}</p>
    <${Facts} of=${[
      ["Watched now", counts && html`<a href=${addressOf([], { source: source.name, state: "Monitoring" })}>${counts.live.toLocaleString("en")}${of.allLive ? "" : "+"}</a>`],
      ["Paused", source.pausedSince && html`<${When} at=${source.pausedSince} />`],
      ["Starts jobs", source.takesJobs ? "yes" : "no"],
      ["Cancels jobs", source.cancelsJobs ? "yes" : "no"],
      ["Authentication", source.auth],
      ["Polls every", duration(source.pollIntervalSeconds)],
      ["Watches for", duration(source.timeoutSeconds)],
      ...sweepOf(source.sweep),
    ]} />
    ${counts ? html`<${Day} counts=${counts} since=${of.since} all=${of.allEnds} name=${source.name} />` : html`<p class="hint" aria-busy="true">Counting …</p>`}
    <div class="actions">
      ${may("start") && html`<a class="button" href=${addressOf(["start"], { source: source.name })}>Start</a>`}
      ${!source.pausedSince && may("stop") && html`<button type="button" disabled=${action.busy} onClick=${() => hold("pause", "The polls are held. Watches still expire.")}>Pause</button>`}
      ${source.pausedSince && may("start") && html`<button type="button" disabled=${action.busy} onClick=${() => hold("resume", "The polls go on.")}>Go on</button>`}
    </div><${Said} action=${action} />
    <${DryRun} source=${source} /></section>`;
}

const sweepOf = (sweep) => (sweep ? [
  ["Sweeps", sweep.by === "list" ? "by its list" : "job by job"],
  ["Jobs in the last sweep", sweep.jobs.toLocaleString("en")],
  ["Last sweep that saw all", html`<${When} at=${sweep.lastLookAt} />`],
  ["Next sweep", html`<${When} at=${sweep.nextAt} planned />`],
  ["Sweeps that failed in a row", sweep.failures || null],
  ["Why", sweep.detail && html`<${Text} value=${sweep.detail} />`],
  ["A watch polls for itself every", duration(sweep.safetySeconds)],
] : []);

const percent = (part, whole) => (whole ? `${Math.round((100 * part) / whole)} %` : "–");

const failed = ({ polls, failedPolls }) => failedPolls.toLocaleString("en") + (polls ? ` (${percent(failedPolls, polls)})` : "");

function Day({ counts, since, all, name }) {
  const ends = STATES.filter((state) => counts.ends[state]).map((state) => [state, counts.ends[state]]);
  const ended = ends.reduce((sum, [, count]) => sum + count, 0);
  const { polls, watched } = counts;
  return html`${watched && html`<h3>Polls of the live watches <small>of ${watched.live.toLocaleString("en")}, as the watchdog saw ${watched.complete ? "them" : "a part of them"} <${When} at=${watched.at} /></small></h3>
    <${Facts} of=${[
      ["Polls since they began", watched.polls.toLocaleString("en")],
      ["Polls that failed", failed(watched)],
      ["Can't see their job", watched.blind > 0 && html`<span class="flag blind">${watched.blind.toLocaleString("en")} of ${watched.live.toLocaleString("en")}</span>`],
    ]} />`}
    <h3>Ended since ${new Date(since).toLocaleString(undefined, { weekday: "short", hour: "numeric", minute: "2-digit" })}</h3>
    <p class="lead">${ended ? ends.map(([state, count]) => html`<a key=${state} href=${addressOf([], { source: name, state })}><${State} name=${state} /> ${count.toLocaleString("en")}</a>`) : "None."}</p>
    <${Facts} of=${[
      ["Succeeded", ended ? percent(counts.ends.Succeeded ?? 0, ended) : null],
      ["Polls of these", ended ? polls.toLocaleString("en") : null],
      ["Polls of these that failed", ended ? failed(counts) : null],
      ["Half lasted up to", counts.secondsP50 !== null ? duration(counts.secondsP50) : null],
      ["95 of 100 lasted up to", counts.secondsP95 !== null ? duration(counts.secondsP95) : null],
    ]} />
    ${!all && html`<p class="hint">These are some of them: of all sources together, 5,000 are counted.</p>`}`;
}

function DryRun({ source }) {
  const action = useAction();
  const [jobId, setJobId] = useState("");
  const [master, setMaster] = useState("");
  const [seen, setSeen] = useState(null);
  const submit = (event) => {
    event.preventDefault();
    action.run(async () => setSeen(await look(source.name, jobId.trim(), master)));
  };
  const faults = (action.error?.errors ?? []).map((each) => ({ ...each, field: `${each.field}-${source.name}` }));
  const needsMaster = seen && !seen.request;
  return html`<details class="dry"><summary>Try it: one poll that starts and stores nothing</summary>
    <form onSubmit=${submit} novalidate>
      <${Field} label="Job id" name=${`jobId-${source.name}`} faults=${faults}>
        ${(props) => html`<input ...${props} value=${jobId} autocomplete="off" spellcheck="false" onInput=${(event) => setJobId(event.target.value)} />`}<//>
      ${needsMaster && html`<${Field} label="Master key" name=${`master-${source.name}`} hint="For this look alone: the whole answer and the value of each expression. It is not kept.">
        ${(props) => html`<input ...${props} type="password" autocomplete="off" value=${master} onInput=${(event) => setMaster(event.target.value)} />`}<//>`}
      <button disabled=${action.busy}>Poll once</button>
    </form>
    ${action.error && !faults.length && html`<${Failure} error=${action.error} />`}
    ${seen && html`<${Seen} seen=${seen} />`}</details>`;
}

/** The dry run with all details, if the caller may see them, else with its outcome alone. */
async function look(source, jobId, master) {
  const path = `sources/${source}/check`;
  try {
    return await call("POST", `${path}/raw`, { query: { jobId }, using: master || undefined });
  } catch (error) {
    if (master || ![401, 403].includes(error.status)) throw error;
    return post(path, { jobId });
  }
}

function Seen({ seen }) {
  const { poll } = seen;
  const known = { outcome: "Outcome", rawStatus: "Status", progress: "Progress", message: "Message", detail: "Detail" };
  return html`<div class="seen" role="status"><${Facts} of=${[
    ...Object.entries(known).map(([name, word]) => [word, isGiven(poll[name]) && html`<${Text} value=${String(poll[name])} />`]),
    ["Decided by", seen.decidedBy && html`<${Text} value=${seen.decidedBy} />`],
    ["Request", seen.request && html`<code><bdi>${seen.request.method} ${seen.request.url}</bdi></code>`],
    ["Answer", seen.answer && `HTTP ${seen.answer.httpStatus}`],
  ]} />
  ${seen.selected && Object.keys(seen.selected).length > 0 && html`<${Table} name="Expressions" columns=${["Key", "Expression", "Value"]}
    rows=${Object.entries(seen.selected).map(([name, each]) => [name, html`<code><bdi>${each.expression}</bdi></code>`,
      html`${each.value === null ? "null" : html`<code><${Text} value=${each.value} /></code>`}
        ${each.value === null && !each.fault && html`<p class="hint">Nothing in the ${each.sees === "body" ? "body" : "answer"} fits the expression.</p>`}
        ${each.fault && html`<p class="fault"><${Text} value=${each.fault} /></p>`}`])} />`}
  ${seen.answer && html`<pre tabindex="0" aria-label="Body of the answer"><${Text} value=${seen.answer.body} cut=${5_000} /></pre>`}</div>`;
}
