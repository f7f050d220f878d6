// The health of the app, and the cleanup.

import { get, startCleanup } from "./api.mjs";
import { useAction, useLive } from "./hooks.mjs";
import { Failure, Said, Title, Wait, html } from "./parts.mjs";

export function Housekeeping({ may }) {
  const health = useLive("health", 15, (signal) => get("health/details", {}, signal));
  const action = useAction();
  const begin = () => action.run(async () => {
    await startCleanup();
    return "The cleanup runs, or waits for its next hour.";
  });
  return html`<${Title} name="Housekeeping" />
    <${Failure} error=${health.error} />
    ${!health.data && !health.error && html`<${Wait} />`}
    ${health.data && html`<section aria-labelledby="health"><h2 id="health">Health</h2><p>The app is <b>${health.data.status}</b>.</p>
      ${health.data.errors?.length > 0 && html`<${Failure} error=${{ message: "Faults", errors: health.data.errors }} />`}</section>`}
    ${may("start") && html`<section aria-labelledby="cleanup"><h2 id="cleanup">Cleanup</h2>
      <div class="actions"><button type="button" onClick=${begin} disabled=${action.busy}>Start the cleanup</button></div>
      <${Said} action=${action} /></section>`}`;
}
