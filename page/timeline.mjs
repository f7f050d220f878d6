// The life of a monitor as bars: a run each, with its statuses as spans and what happened as marks.

import { now } from "./api.mjs";
import { JOB_ENDS, State, clock, duration, html, isGiven } from "./parts.mjs";

const COLOURS = 6;
const MARKS = {
  changed: "Settings changed", resumed: "Started again", overdue: "Overdue", stalled: "Stalled",
  unseen: "Polls failed", seen: "The job was seen again", hinted: "Hint",
};

/** The runs in a log: each with its spans and marks, in fractions of its time. */
export function runsOf(log, monitor, at) {
  const runs = new Map();
  for (const line of log) {
    if (!runs.has(line.run)) runs.set(line.run, []);
    runs.get(line.run).push(line);
  }
  if (!runs.has(monitor.run)) runs.set(monitor.run, []);
  const told = log.filter((line) => line.event === "status").flatMap((line) => [line.from, line.to]);
  const statuses = [...new Set([...told, monitor.rawStatus])].filter(isGiven);
  const colour = (status) => (isGiven(status) ? `c${statuses.indexOf(status) % COLOURS}` : "none");
  let status = null; // when the run before ended
  return [...runs].sort(([one], [other]) => one - other).map(([run, lines], i, all) => {
    const current = run === monitor.run;
    const ended = lines.find((line) => line.event === "ended");
    // The log may begin in the midst of its first run; a restart keeps what was seen, and when the watch started.
    const begin = Date.parse(i === 0 && current ? monitor.startedAt : lines[0]?.at ?? monitor.startedAt);
    const next = all[i + 1]?.[1][0]?.at;
    const end = Math.max(begin + 1, ended ? Date.parse(ended.at) : next ? Date.parse(next) : at);
    const place = (moment) => Math.min(1, Math.max(0, (Date.parse(moment) - begin) / (end - begin)));
    const changes = lines.filter((line) => line.event === "status");
    const first = changes.length ? changes[0].from : lines[0]?.event === "started" ? null : current ? monitor.rawStatus : status;
    status = changes.length ? changes[changes.length - 1].to : first;
    const edges = [{ status: first, at: begin }, ...changes.map((line) => ({ status: line.to, at: Date.parse(line.at) }))];
    const spans = edges.map((edge, i) => {
      const until = edges[i + 1]?.at ?? end;
      const from = Math.max(0, (edge.at - begin) / (end - begin));
      return { status: edge.status, seconds: (until - edge.at) / 1000, from, width: Math.max(0, (until - begin) / (end - begin) - from), at: edge.at, colour: colour(edge.status) };
    });
    if (JOB_ENDS.includes(ended?.to) && changes.length) spans[spans.length - 1].colour = ended.to;
    const marks = lines.filter((line) => MARKS[line.event]).map((line) => ({ line, x: place(line.at) }));
    const troubles = [];
    for (const { line, x } of marks) {
      if (line.event === "unseen") troubles.push({ from: x, to: 1 });
      if (line.event === "seen" && troubles.length) troubles[troubles.length - 1].to = x;
    }
    return { run, begin, end, spans: spans.filter((span) => span.width > 0 || spans.length === 1), marks, troubles, state: ended?.to ?? (current ? monitor.state : null), restarted: !ended && !current, live: current && monitor.state === "Monitoring" };
  }).reverse();
}

export const wordOf = (line) => MARKS[line.event] ?? line.event;

export function Timeline({ log, monitor }) {
  const runs = runsOf(log, monitor, now());
  return html`<ol class="runs" reversed>${runs.map((run) => html`<li key=${run.run}>
    <h3>Run ${run.run} ${run.state && html`<${State} name=${run.state} />`} <small>${run.restarted && "restarted after "}${duration((run.end - run.begin) / 1000)}${run.live ? " so far" : ""}</small></h3>
    <svg class="bar" viewBox="0 0 1000 30" preserveAspectRatio="none" aria-hidden="true">
      ${run.spans.map((span) => html`<rect x=${span.from * 1000} y="4" width=${Math.max(span.width * 1000, 1)} height="20" class=${span.colour}>
        <title>${span.status ?? "not seen yet"}: ${duration(span.seconds)}</title></rect>`)}
      ${run.troubles.map((each) => html`<rect x=${each.from * 1000} y="25" width=${Math.max((each.to - each.from) * 1000, 3)} height="5" class="trouble"><title>Polls failed</title></rect>`)}
      ${run.marks.map(({ line, x }) => html`<rect x=${Math.min(x * 1000, 997)} y="0" width="3" height="30" class=${`mark ${line.event}`}><title>${wordOf(line)}, ${clock(line.at)}</title></rect>`)}
    </svg>
    <p class="ends"><span>${clock(run.begin)}</span><span>${run.live ? "now" : clock(run.end)}</span></p>
    <ul class="legend">${run.spans.slice(-12).map((span, i) => html`<li key=${i}>
      <svg viewBox="0 0 10 10" aria-hidden="true"><rect width="10" height="10" class=${span.colour} /></svg>
      <bdi>${(span.status ?? "not seen yet").slice(0, 80)}</bdi> ${duration(span.seconds)}</li>`)}
      ${[...new Set(run.marks.map(({ line }) => line.event))].map((event) => html`<li key=${event}>
        <svg viewBox="0 0 10 10" aria-hidden="true"><rect x="3" width="4" height="10" class=${`mark ${event}`} /></svg>
        ${MARKS[event]}${count(run.marks, event)}</li>`)}
    </ul></li>`)}</ol>`;
}

function count(marks, event) {
  const many = marks.filter(({ line }) => line.event === event).length;
  return many > 1 ? ` ${many}×` : "";
}
