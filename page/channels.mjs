// The channels that tell people, and what became of their last messages.

import { get, post } from "./api.mjs";
import { useAction, useLive } from "./hooks.mjs";
import { Facts, Failure, Said, Text, Title, Wait, html } from "./parts.mjs";

export function Channels() {
  const live = useLive("channels", 15, (signal) => get("channels", {}, signal));
  const { data } = live;
  return html`<${Title} name="Channels" />
    <${Failure} error=${live.error} />
    ${!data && !live.error && html`<${Wait} />`}
    ${data?.channels.map((channel) => html`<${Channel} key=${channel.name} channel=${channel} />`)}
    ${data?.disabled.map((channel) => html`<section class="card" key=${channel.name}><h2>${channel.name} <span class="flag blind">disabled</span></h2>
      <${Failure} error=${{ message: "The channel can't be used.", errors: channel.errors }} /></section>`)}
    ${data && !data.channels.length && !data.disabled.length && html`<p class="empty">No channel is configured: docs/notices.md says how to tell people by webhook, mail or chat.</p>`}`;
}

function Channel({ channel }) {
  const action = useAction();
  const test = () => action.run(async () => {
    const tried = await post(`channels/${encodeURIComponent(channel.name)}/test`);
    return tried.delivered ? `The receiver took the message: ${tried.detail || "no more was said"}.` : `The message was not delivered: ${tried.detail}`;
  });
  const filter = Object.entries(channel.filter ?? {}).filter(([, value]) => (Array.isArray(value) ? value.length : value !== null && value !== undefined));
  return html`<section class="card" aria-labelledby=${`channel-${channel.name}`}>
    <h2 id=${`channel-${channel.name}`}>${channel.name}</h2><p>${channel.description}</p>
    <${Facts} of=${[
      ["Kind", channel.kind],
      ["Receiver", channel.receiver && html`<${Text} value=${channel.receiver} />`],
      ["Told by default by", channel.sources.length ? channel.sources.join(", ") : "no source"],
      ...filter.map(([name, value]) => [`Only ${name}`, html`<${Text} value=${typeof value === "object" ? JSON.stringify(value) : String(value)} />`]),
    ]} />
    <div class="actions"><button type="button" onClick=${test} disabled=${action.busy}>Send a test message</button></div>
    <${Said} action=${action} /></section>`;
}
