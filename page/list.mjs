// The list: one row a monitor, with counts that filter.

import { useState } from "./preact-hooks.mjs";
import { get } from "./api.mjs";
import { addressOf, useLive } from "./hooks.mjs";
import { Failure, Flags, Labels, Progress, STATES, State, Text, Title, Wait, When, html } from "./parts.mjs";

const PAGE = 50;

export function List({ query, may }) {
  const filter = { state: query.state, source: query.source, label: query.label, jobIdPrefix: query.find };
  const wanted = JSON.stringify([filter, query.token]);
  // A search reads thousands of entries.
  const rows = useLive(wanted, query.find || query.label ? 30 : 5, (signal) => get("monitors", { ...filter, top: PAGE, token: query.token }, signal));
  const counts = useLive("counts", 10, (signal) => get("counts", {}, signal));
  const go = (change) => addressOf([], { ...query, token: "", ...change });
  const filtered = Object.values(filter).some(Boolean);
  return html`
    <${Title} name="Monitors" />
    <${Counts} counts=${counts.data} query=${query} go=${go} />
    <${Find} query=${query} go=${go} key=${`${query.find} ${query.label}`} />
    <${Failure} error=${rows.error ?? counts.error} />
    ${rows.data === null ? (rows.error ? null : html`<${Wait} />`) : html`
      <${Rows} rows=${rows.data.monitors} go=${go} />
      ${rows.data.monitors.length === 0 && html`<${Empty} filtered=${filtered} more=${rows.data.next && go({ token: rows.data.next })} may=${may} />`}
      <nav class="pages" aria-label="Pages">
        ${query.token && html`<a href=${go({})}>Newest</a>`}
        ${rows.data.next && html`<a href=${go({ token: rows.data.next })}>Older</a>`}
      </nav>`}`;
}

function Empty({ filtered, more, may }) {
  if (more) return html`<p class="empty">None among the entries that one request reads. <a href=${more}>Look further back</a></p>`;
  if (filtered) return html`<p class="empty">No monitor fits. <a href="#/">Show all</a></p>`;
  return html`<div class="empty"><p>Nothing is watched yet.</p>
    ${may("start") && html`<p><a class="button" href="#/start">Start a job</a></p>`}</div>`;
}

function Counts({ counts, query, go }) {
  if (!counts) return html`<div class="counts" aria-busy="true"><p class="hint">Counting …</p></div>`;
  const numbers = (count, all) => `${count.toLocaleString("en")}${all ? "" : "+"}`;
  const all = counts.allLive && counts.allEnds;
  const total = (of) => Object.values(of).reduce((sum, each) => sum + each, 0);
  const here = counts.sources.filter((each) => !query.source || each.name === query.source);
  const states = Object.fromEntries(STATES.map((name) => [name, 0]));
  for (const each of here) {
    states.Monitoring += each.live;
    for (const [name, count] of Object.entries(each.ends)) states[name] = (states[name] ?? 0) + count;
  }
  return html`<div class="counts">
    <ul aria-label="By state">
      ${STATES.filter((name) => states[name] || name === query.state || name === "Monitoring").map((name) => html`
        <li key=${name}><a href=${go({ state: query.state === name ? "" : name })}
          aria-current=${query.state === name ? "true" : undefined}>
          <${State} name=${name} /> <b>${numbers(states[name], name === "Monitoring" ? counts.allLive : counts.allEnds)}</b></a></li>`)}
    </ul>
    ${counts.sources.length > 1 && html`<ul aria-label="By source">
      ${counts.sources.map((each) => html`
        <li key=${each.name}><a href=${go({ source: query.source === each.name ? "" : each.name })}
          aria-current=${query.source === each.name ? "true" : undefined}>
          <bdi>${each.name}</bdi> <b>${numbers(each.live + total(each.ends), all)}</b></a></li>`)}
    </ul>`}
    <p class="hint">Watched now, and ended since ${new Date(counts.since).toLocaleString(undefined, { weekday: "short", hour: "numeric", minute: "2-digit" })}.${all ? "" : " A + says at least: no more than 5,000 are counted."}</p>
  </div>`;
}

function Find({ query, go }) {
  const [find, setFind] = useState(query.find ?? "");
  const [label, setLabel] = useState(query.label ?? "");
  const submit = (event) => {
    event.preventDefault();
    location.hash = go({ find: find.trim(), label: label.trim() });
  };
  return html`<form class="find" role="search" onSubmit=${submit}>
    <label>Job id begins with <input type="search" name="find" value=${find} placeholder="job-1"
      onInput=${(event) => setFind(event.target.value)} /></label>
    <label>Label <input name="label" value=${label} placeholder="team:data" onInput=${(event) => setLabel(event.target.value)} /></label>
    <button>Find</button>
    ${(query.state || query.source || query.find || query.label) && html`<a href="#/">Clear all filters</a>`}
  </form>`;
}

function Rows({ rows, go }) {
  if (!rows.length) return null;
  return html`<div class="wide-table"><table class="monitors">
    <thead><tr><th scope="col">State</th><th scope="col">Job</th><th scope="col">Progress</th>
      <th scope="col">Last message</th><th scope="col">Since</th><th scope="col">Next poll</th></tr></thead>
    <tbody>${rows.map((row) => html`<${Row} key=${`${row.id} ${row.run}`} row=${row} go=${go} />`)}</tbody>
  </table></div>`;
}

function Row({ row, go }) {
  const live = row.state === "Monitoring";
  return html`<tr class=${row.state}>
    <td data-name="State"><${State} name=${row.state} /> <${Flags} row=${row} /></td>
    <th scope="row" data-name="Job">
      <a class="job" href=${addressOf(["monitors", row.id])}><bdi>${short(row.jobId)}</bdi></a>
      <span class="under"><a href=${go({ source: row.source })} aria-label=${`Only source ${row.source}`}><bdi>${row.source}</bdi></a>${row.run > 1 && ` · run ${row.run}`}${" "}
        <${Labels} labels=${row.labels} /></span></th>
    <td data-name="Progress"><${Progress} row=${row} /></td>
    <td data-name="Last message" class="message"><${Text} value=${short(row.detail || row.message || row.reason || row.rawStatus, 200)} /></td>
    <td data-name="Since"><${When} at=${live ? row.startedAt : row.endedAt} /></td>
    <td data-name="Next poll">${live ? html`<${When} at=${row.nextPollAt} planned every=${row.pollIntervalSeconds} />` : html`<span class="none">–</span>`}</td>
  </tr>`;
}

const short = (text, length = 100) => (text && text.length > length ? `${text.slice(0, length)}…` : text);
