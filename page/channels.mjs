// The channels that tell people, and what became of their last messages.

import { get, post } from "./api.mjs";
import { useAction, useLive } from "./hooks.mjs";
import { Facts, Failure, Said, Table, Text, Title, Wait, When, html } from "./parts.mjs";

export function Channels({ may }) {
  const live = useLive("channels", 15, (signal) => get("channels", {}, signal));
  const { data } = live;
  return html`<${Title} name="Channels" />
    <${Failure} error=${live.error} />
    ${!data && !live.error && html`<${Wait} />`}
    ${data?.channels.map((channel) => html`<${Channel} key=${channel.name} channel=${channel} may=${may} reload=${live.reload} />`)}
    ${data?.disabled.map((channel) => html`<section class="card" key=${channel.name}><h2>${channel.name} <span class="flag blind">disabled</span></h2>
      <${Failure} error=${{ message: "The channel can't be used.", errors: channel.errors }} /></section>`)}
    ${data && !data.channels.length && !data.disabled.length && html`<p class="empty">No channel is configured: docs/notices.md says how to tell people by webhook, mail or chat.</p>`}`;
}

function Channel({ channel, may, reload }) {
  const action = useAction();
  const { delivery } = channel;
  const path = `channels/${encodeURIComponent(channel.name)}`;
  const test = () => action.run(async () => {
    const tried = await post(`${path}/test`);
    return tried.delivered ? `The receiver took the message: ${tried.detail || "no more was said"}.` : `The message was not delivered: ${tried.detail}`;
  });
  const resend = () => action.run(async () => {
    const { resent, left } = await post(`${path}/resend`);
    reload();
    return `${resent ? `${resent} wait again, and what` : "What"} waits is tried now.${left ? ` ${left} more are given up: send again.` : ""}`;
  });
  const filter = Object.entries(channel.filter).map(([name, value]) => [`Only ${name}`, words(value)]);
  return html`<section class="card" aria-labelledby=${`channel-${channel.name}`}>
    <h2 id=${`channel-${channel.name}`}>${channel.name} ${delivery.failingSince && html`<span class="flag blind">failing</span>`}</h2><p>${channel.description}</p>
    <${Facts} of=${[
      ["Kind", channel.kind],
      ["Receiver", channel.receiver && html`<${Text} value=${channel.receiver} />`],
      ["Told by default by", channel.sources.length ? channel.sources.join(", ") : "no source"],
      ...filter,
      ["Notices that wait", delivery.waiting],
      ["Notices given up", delivery.givenUp],
      ["Last delivered", html`<${When} at=${delivery.lastDeliveredAt} />`],
      ["Failing since", delivery.failingSince && html`<${When} at=${delivery.failingSince} />`],
      ["Tried again", delivery.nextAttemptAt && html`<${When} at=${delivery.nextAttemptAt} planned />`],
      ["Last error", delivery.lastError && html`<${When} at=${delivery.lastErrorAt} />: <${Text} value=${delivery.lastError} />`],
    ]} />
    ${may("start") && html`<div class="actions"><button type="button" onClick=${test} disabled=${action.busy}>Send a test message</button>
      ${delivery.waiting + delivery.givenUp > 0 && html`<button type="button" onClick=${resend} disabled=${action.busy}>Send again</button>`}</div>`}
    <${Said} action=${action} />
    ${delivery.recent.length > 0 && html`<h3>Last deliveries</h3>
      <${Table} name=${`Last deliveries of ${channel.name}`} columns=${["When", "Delivered", "Notices", "The receiver's word"]}
        rows=${delivery.recent.map((each) => [html`<${When} at=${each.at} />`, each.delivered ? "✔ yes" : "✖ no", each.notices, html`<${Text} value=${each.detail} cut=${300} />`])} />`}
  </section>`;
}

/** A part of a filter: a list, or labels with their values. */
const words = (value) => (Array.isArray(value) ? value : Object.entries(value ?? {}).map((pair) => pair.join(": "))).join(", ");
