// The health of the app, the cleanup and the watchdog.

import { get, startCleanup } from "./api.mjs";
import { useAction, useLive } from "./hooks.mjs";
import { Facts, Failure, Said, Text, Title, Wait, When, html } from "./parts.mjs";

export function Housekeeping({ may }) {
  const health = useLive("health", 15, (signal) => get("health/details", {}, signal));
  const work = useLive("housekeeping", 15, (signal) => get("housekeeping", {}, signal));
  const action = useAction();
  const begin = () => action.run(async () => {
    await startCleanup();
    work.reload();
    return "The cleanup runs, or waits for its next hour.";
  });
  return html`<${Title} name="Housekeeping" />
    <${Failure} error=${health.error ?? work.error} />
    ${!health.data && !health.error && html`<${Wait} />`}
    ${health.data && html`<section aria-labelledby="health"><h2 id="health">Health</h2><p>The app is <b>${health.data.status}</b>.</p>
      ${health.data.errors?.length > 0 && html`<${Failure} error=${{ message: "Faults", errors: health.data.errors }} />`}</section>`}
    ${work.data && html`<${Watchdog} run=${work.data.watchdog} />
      <section aria-labelledby="cleanup"><h2 id="cleanup">Cleanup</h2><${Cleanup} of=${work.data.cleanup} />
      ${may("start") && html`<div class="actions"><button type="button" onClick=${begin} disabled=${action.busy}>Start the cleanup</button></div>
      <${Said} action=${action} />`}</section>`}`;
}

/** `of` is null if it never began. */
function Cleanup({ of }) {
  if (!of) return html`<p>It never began. The watchdog starts it.</p>`;
  return html`<p>It removes what ended before the retention.</p><${Facts} of=${[
    ["Instance", of.runtimeStatus],
    ["Last run", of.lastRunAt ? html`<${When} at=${of.lastRunAt} />` : "none yet"],
    ["Next run", of.more ? "at once: work is left" : of.nextRunAt && html`<${When} at=${of.nextRunAt} planned />`],
    ["Runs", of.runs],
    ["Monitors removed in the last run", of.monitors],
    ["Instances removed in the last run", of.instances],
    ["Monitors that it could not remove", of.failed || null],
    ["Error of the newest run", of.lastError && html`<${Text} value=${of.lastError} />`],
  ]} />`;
}

function Watchdog({ run }) {
  const { endedAt, failedAt } = run;
  const failed = failedAt && (!endedAt || Date.parse(failedAt) > Date.parse(endedAt));
  return html`<section aria-labelledby="watchdog"><h2 id="watchdog">Watchdog ${failed && html`<span class="flag blind">failing</span>`}</h2>
    <p>It looks after all live watches, every five minutes.</p><${Facts} of=${[
    ["Last run", endedAt ? html`<${When} at=${endedAt} />` : "none yet"],
    ...(endedAt ? [
      ["Saw", run.complete ? "all live watches" : "a part of the live watches"],
      ["Live", run.live],
      ["Blind", run.blind],
      ["Stale", run.stale],
      ["Could not be checked", run.unchecked || null],
    ] : []),
    ["Last failure", failedAt && html`<${When} at=${failedAt} />: <${Text} value=${run.detail} />`],
  ]} /></section>`;
}
