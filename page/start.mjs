// The form that starts a job with its watch, or the watch over a job that runs.

import { useState } from "./preact-hooks.mjs";
import { get, start } from "./api.mjs";
import { addressOf, useAction, useLive } from "./hooks.mjs";
import { Failure, Field, Title, Wait, html } from "./parts.mjs";

export function Start({ query }) {
  const sources = useLive("sources", 60, (signal) => get("sources", {}, signal));
  return html`<${Title} name="Start" />
    <${Failure} error=${sources.error} />
    ${!sources.data && !sources.error && html`<${Wait} />`}
    ${sources.data && (sources.data.sources.length
      ? html`<${Form} sources=${sources.data.sources} first=${query.source ?? sources.data.default ?? sources.data.sources[0].name} />`
      : html`<p class="empty">No source can be used: see <a href="#/sources">the sources</a>.</p>`)}`;
}

const example = (source) => JSON.stringify(source.jobExample ?? {}, null, 2);

function Form({ sources, first }) {
  const find = (name) => sources.find((each) => each.name === name) ?? sources[0];
  const initial = find(first);
  const [given, set] = useState({
    source: initial.name, kind: initial.takesJobs ? "job" : "jobId", job: example(initial), jobId: "", labels: "",
    pollIntervalSeconds: "", timeoutSeconds: "", onExpiry: "", fresh: false,
  });
  const [own, setOwn] = useState([]);
  const action = useAction();
  const source = find(given.source);
  const put = (change) => set((before) => ({ ...before, ...change }));
  const choose = (name) => {
    const next = find(name);
    const untouched = given.job === example(source);
    put({
      source: name, kind: next.takesJobs ? given.kind : "jobId", job: untouched ? example(next) : given.job,
      onExpiry: next.cancelsJobs ? given.onExpiry : "",
    });
  };
  const submit = (event) => {
    event.preventDefault();
    const { body, faults } = read(given);
    setOwn(faults);
    if (faults.length) return;
    action.run(async () => {
      const monitor = await start(body);
      location.hash = addressOf(["monitors", monitor.id]);
    });
  };
  const faults = [...own, ...(action.error?.errors ?? [])];
  const placed = new Set(FIELDS);
  const text = (name) => ({ value: given[name], onInput: (event) => put({ [name]: event.target.value }) });
  const number = { type: "number", min: 1, inputmode: "numeric" };
  return html`<form class="start" onSubmit=${submit} novalidate>
    <${Field} label="Source" name="source" faults=${faults} hint=${source.description}>
      ${(props) => html`<select ...${props} value=${given.source} onChange=${(event) => choose(event.target.value)}>
        ${sources.map((each) => html`<option key=${each.name} value=${each.name}>${each.name}</option>`)}</select>`}<//>
    <fieldset><legend>What</legend>
      <label><input type="radio" name="kind" checked=${given.kind === "job"} disabled=${!source.takesJobs}
        onChange=${() => put({ kind: "job" })} /> Start a job${source.takesJobs ? "" : ": this source starts none"}</label>
      <label><input type="radio" name="kind" checked=${given.kind === "jobId"}
        onChange=${() => put({ kind: "jobId" })} /> Watch a job that runs</label>
    </fieldset>
    ${given.kind === "job"
      ? html`<${Field} label="Job" name="job" faults=${faults} hint=${source.jobExample ? "JSON. This is an example of what the source takes." : "JSON, in the form that the source takes."}>
          ${(props) => html`<textarea ...${props} ...${text("job")} rows="7" spellcheck="false" class="code"></textarea>`}<//>`
      : html`<${Field} label="Job id" name="jobId" faults=${faults}
          hint=${source.jobIdParts.length ? `Of the parts ${source.jobIdParts.join("/")}.` : "As the source names the job."}>
          ${(props) => html`<input ...${props} ...${text("jobId")} autocomplete="off" spellcheck="false" />`}<//>`}
    <${Field} label="Labels" name="labels" faults=${faults} hint="One a line, as team: data. They are for people and filters.">
      ${(props) => html`<textarea ...${props} ...${text("labels")} rows="2" spellcheck="false"></textarea>`}<//>
    <details><summary>More settings</summary>
      <${Field} label="Poll every … seconds" name="pollIntervalSeconds" faults=${faults} hint=${`Empty: ${source.pollIntervalSeconds}.`}>
        ${(props) => html`<input ...${props} ...${text("pollIntervalSeconds")} ...${number} />`}<//>
      <${Field} label="Watch for at most … seconds" name="timeoutSeconds" faults=${faults} hint=${`Empty: ${source.timeoutSeconds}.`}>
        ${(props) => html`<input ...${props} ...${text("timeoutSeconds")} ...${number} />`}<//>
      <${Field} label="When the watch expires" name="onExpiry" faults=${faults}>
        ${(props) => html`<select ...${props} value=${given.onExpiry} onChange=${(event) => put({ onExpiry: event.target.value })}>
          <option value="">As the source says: ${source.onExpiry} the job</option>
          <option value="leave">Leave the job alone</option>
          <option value="cancel" disabled=${!source.cancelsJobs}>Cancel the job</option></select>`}<//>
      <label class="check"><input type="checkbox" checked=${given.fresh} onChange=${(event) => put({ fresh: event.target.checked })} />
        Watch again, also if the job ended</label>
    </details>
    <button class="primary" disabled=${action.busy}>${action.busy ? "Starting …" : "Start"}</button>
    ${action.error && html`<${Failure} error=${{
      message: action.error.message, errors: action.error.errors?.filter((each) => !placed.has(each.field)) }} />`}
    ${own.length > 0 && html`<p role="alert" class="fault">Nothing was sent: see the fields above.</p>`}
    ${action.error?.problem?.monitor && html`<p><a href=${addressOf(["monitors", action.error.problem.monitor.id])}>See the monitor that stands in the way</a></p>`}
  </form>`;
}

const FIELDS = ["source", "job", "jobId", "labels", "pollIntervalSeconds", "timeoutSeconds", "onExpiry"];

/** The request of a filled form, and the faults that keep it from being one. */
function read(given) {
  const faults = [];
  const body = { source: given.source };
  if (given.kind === "job") {
    try {
      body.job = JSON.parse(given.job);
    } catch (error) {
      faults.push({ field: "job", message: `is no JSON: ${error.message}` });
    }
  } else {
    body.jobId = given.jobId.trim();
    if (!body.jobId) faults.push({ field: "jobId", message: "must be given" });
  }
  const labels = {};
  for (const line of given.labels.split("\n").filter((each) => each.trim())) {
    const [, name, value] = /^\s*([^:=]+?)\s*[:=]\s*(.+?)\s*$/.exec(line) ?? [];
    if (name) labels[name] = value;
    else faults.push({ field: "labels", message: `must be name: value, not ${line.trim().slice(0, 60)}` });
  }
  if (Object.keys(labels).length) body.labels = labels;
  for (const name of ["pollIntervalSeconds", "timeoutSeconds"]) {
    if (given[name] !== "") body[name] = Number(given[name]);
  }
  if (given.onExpiry) body.onExpiry = given.onExpiry;
  if (given.fresh) body.fresh = true;
  return { body, faults };
}
