// The small parts that all views consist of. Text of a job system goes through `Text` alone.

import { h } from "./preact.mjs";
import { useEffect, useRef, useState } from "./preact-hooks.mjs";
import htm from "./htm.mjs";
import { now } from "./api.mjs";

export const html = htm.bind(h);

export const isGiven = (value) => value !== null && value !== undefined;

const CUT = 2_000;

/** A text of somebody else: its direction stays its own, and a long one is cut until asked for. */
export function Text({ value, cut = CUT }) {
  const [whole, show] = useState(false);
  const text = value ?? "";
  if (text.length <= cut || whole) return html`<bdi>${text}</bdi>`;
  return html`<bdi>${text.slice(0, cut)}…</bdi>${" "}
    <button type="button" class="link" onClick=${() => show(true)}>
      Show all ${text.length.toLocaleString("en")} characters
    </button>`;
}

const GLYPHS = {
  Monitoring: "▶", Succeeded: "✔", Failed: "✖", Cancelled: "⊘", Expired: "!", Lost: "?",
  Unreachable: "⚡", Stopped: "■", Terminated: "■",
};
export const STATES = Object.keys(GLYPHS);
export const JOB_ENDS = ["Succeeded", "Failed", "Cancelled"];

export const State = ({ name }) => html`
  <span class=${`state ${name}`}><span class="glyph" aria-hidden="true">${GLYPHS[name] ?? "•"}</span>${name}</span>`;

/** The flags of a row, with the meaning of each as its title. */
const FLAGS = {
  blind: "The watch can't see its job",
  stale: "The watch has gone silent",
  overdue: "The job runs longer than it should",
  stalled: "Nothing of the job moves",
  paused: "Somebody holds the polls",
  resumed: "The watch was started again, and has not polled since",
};
export const flagsOf = (row) => [
  ...Object.keys(FLAGS).filter((name) => row[name]),
  ...(row.stop && row.state === "Monitoring" ? ["stopping"] : []),
];
export const Flags = ({ row }) => flagsOf(row).map((name) => html`
  <span key=${name} class=${`flag ${name}`} title=${FLAGS[name] ?? "Somebody asked for the end of the watch"}>${name}</span>${" "}`);

export function Labels({ labels }) {
  return Object.entries(labels ?? {}).map(([name, value]) => html`
    <span key=${name} class="label"><bdi>${name}</bdi>: <bdi>${value}</bdi></span>${" "}`);
}

export function Progress({ row, wide }) {
  if (!isGiven(row.progress)) return wide ? null : html`<span class="none">–</span>`;
  const percent = Math.round(row.progress);
  return html`<span class=${wide ? "progress wide" : "progress"}>
    <progress max="100" value=${row.progress} aria-label=${`Progress of ${row.jobId}`}></progress>
    <span>${percent} %</span></span>`;
}

const UNITS = [[86_400, "d"], [3_600, "h"], [60, "min"], [1, "s"]];

/** Seconds in the two largest units: `3 h 20 min`. */
export function duration(seconds) {
  let rest = Math.max(0, Math.round(seconds));
  if (rest === 0) return "0 s";
  const first = UNITS.findIndex(([size]) => rest >= size);
  const words = [];
  for (const [size, unit] of UNITS.slice(first, first + 2)) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count) words.push(`${count} ${unit}`);
  }
  return words.join(" ");
}

const SHORT = { dateStyle: "medium", timeStyle: "medium" };
export const clock = (moment) => new Date(moment).toLocaleString(undefined, SHORT);

/**
 * A moment as the time to it or since it; the title has the moment itself. One that is planned is due, not past. If it
 * comes again `every` so many seconds, and not each time is stored, the next time is told.
 */
export function When({ at, tick = false, planned = false, every = 0 }) {
  useTick(tick);
  if (!at) return html`<span class="none">–</span>`;
  let seconds = (Date.parse(at) - now()) / 1000;
  if (seconds < 0 && -seconds < STORED * every) seconds = every - (-seconds % every);
  const far = duration(Math.abs(seconds));
  const words = Math.abs(seconds) < 1 ? "now" : seconds > 0 ? `in ${far}` : planned ? "due" : `${far} ago`;
  return html`<time datetime=${at} title=${clock(at)}>${words}</time>`;
}

// A poll that changes nothing is stored every third time.
const STORED = 3;

function useTick(on) {
  const [, set] = useState(0);
  useEffect(() => {
    if (!on) return undefined;
    const timer = setInterval(() => document.hidden || set((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, [on]);
}

/** Names with values; a value that is null is left out. */
export const Facts = ({ of }) => html`<dl class="facts">
  ${of.filter(([, value]) => isGiven(value) && value !== "" && value !== false).map(([name, value]) => html`
    <div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}
</dl>`;

/** A table that scrolls by itself where it is too wide; `rows` are lists of cells, or null. */
export const Table = ({ name, columns, rows, kind }) => html`<div class="wide-table" tabindex="0" role="region" aria-label=${name}><table class=${`cards ${kind ?? ""}`}>
  <thead><tr>${columns.map((word) => html`<th scope="col" key=${word}>${word}</th>`)}</tr></thead>
  <tbody>${rows.map((cells, i) => html`<tr key=${rows.length - i}>${cells.map((cell, n) => html`<td key=${n} data-name=${columns[n]}>${cell}</td>`)}</tr>`)}</tbody></table></div>`;

/** An error with all its faults. */
export function Failure({ error }) {
  if (!error) return null;
  const faults = error.errors ?? [];
  return html`<div class="failure" role="alert">
    <strong>${error.message}</strong>
    ${error.unknown && html` <button type="button" class="link" onClick=${() => location.reload()}>Sign in again</button>`}
    ${faults.length > 0 && html`<ul>${faults.map((each) => html`
      <li><code><bdi>${each.field}</bdi></code> <${Text} value=${each.message} /></li>`)}</ul>`}
  </div>`;
}

/** What the last action did. */
export const Said = ({ action }) => html`<div class="said">
  <p role="status">${action.busy ? "Working …" : action.said}</p>
  <${Failure} error=${action.error} />
</div>`;

/** The heading of a view; a new view takes the focus there, so that its name is read. */
export function Title({ children, name }) {
  const heading = useRef(null);
  useEffect(() => {
    document.title = `${name} – Job Monitor`;
    // Not at the first view: there the focus is the browser's.
    if (document.body.dataset.moved) heading.current?.focus({ preventScroll: true });
    document.body.dataset.moved = "yes";
    scrollTo(0, 0);
  }, [name]);
  return html`<h1 ref=${heading} tabindex="-1">${children ?? name}</h1>`;
}

/** A field of a form, with the faults that the app found in it. */
export function Field({ label, name, hint, faults = [], children }) {
  const mine = faults.filter((each) => each.field === name);
  const id = `field-${name}`;
  const about = [hint && `${id}-hint`, mine.length && `${id}-fault`].filter(Boolean).join(" ");
  return html`<div class=${mine.length ? "field faulty" : "field"}>
    <label for=${id}>${label}</label>
    ${children({ id, name, "aria-describedby": about || undefined, "aria-invalid": mine.length ? "true" : undefined })}
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
    ${mine.length > 0 && html`<p class="fault" id=${`${id}-fault`}>${mine.map((each) => each.message).join("; ")}</p>`}
  </div>`;
}

/** A question in a dialog of its own; the focus goes back when it closes. */
export function Dialog({ title, onClose, children }) {
  const dialog = useRef(null);
  useEffect(() => {
    const before = document.activeElement;
    dialog.current.showModal();
    return () => before?.isConnected && before.focus();
  }, []);
  return html`<dialog ref=${dialog} onClose=${onClose} aria-labelledby="dialog-title">
    <h2 id="dialog-title">${title}</h2>${children}</dialog>`;
}

export const Wait = () => html`<p class="wait" role="status">Loading …</p>`;
