// The frame of the page: who asks, the way between the views, the theme.

import { h, render } from "./preact.mjs";
import { useEffect, useState } from "./preact-hooks.mjs";
import { get, key, signsIn } from "./api.mjs";
import { useAddress } from "./hooks.mjs";
import { Channels } from "./channels.mjs";
import { Housekeeping } from "./housekeeping.mjs";
import { List } from "./list.mjs";
import { Monitor } from "./monitor.mjs";
import { Sources } from "./sources.mjs";
import { Start } from "./start.mjs";
import { Failure, Title, Wait, html } from "./parts.mjs";

const VIEWS = [["", "Monitors"], ["start", "Start"], ["sources", "Sources"], ["channels", "Channels"], ["housekeeping", "Housekeeping"]];

function App() {
  const [who, setWho] = useState(null);
  const [asked, setAsked] = useState(0);
  useEffect(() => {
    let gone = false;
    const put = (value) => gone || setWho(value);
    find().then(put, (error) => put({ error }));
    return () => { gone = true; };
  }, [asked]);
  const again = () => { setWho(null); setAsked((n) => n + 1); };
  const address = useAddress();
  const [view = "", id] = address.parts;
  const may = (role) => Boolean(who?.me?.roles.includes(role));
  return html`
    <a class="skip" href="#main" onClick=${skip}>To the content</a>
    <header><a class="brand" href="#/"><svg viewBox="0 0 32 32" aria-hidden="true"><path d="M3 17h7l3-9 6 17 3-8h7" /></svg>Job Monitor</a>
      ${who?.me && html`<nav aria-label="Views">${VIEWS.filter(([name]) => name !== "start" || may("start")).map(([name, word]) => html`
        <a key=${name} href=${`#/${name}`} aria-current=${(view === "monitors" ? "" : view) === name ? "page" : undefined}>${word}</a>`)}</nav>`}
      <div class="who">
        ${who?.me && who.me.name !== "key" && html`<bdi class="name">${who.me.name}</bdi>`}
        ${who?.me && key.get() && html`<button type="button" onClick=${() => { key.set(""); again(); }}>Forget the key</button>`}
        <${Theme} /></div></header>
    <main id="main" tabindex="-1">
      ${who === null && html`<${Wait} />`}
      ${who?.error && html`<${Title} name=${who.error.status === 403 ? "No access" : "Not now"} /><${Failure} error=${who.error} /><p><button type="button" onClick=${again}>Try again</button></p>`}
      ${who?.wants && html`<${SignIn} ...${who} again=${again} />`}
      ${who?.me && html`<${View} name=${view} id=${id} query=${address.query} may=${may} />`}
    </main>`;
}

function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

function View({ name, id, query, may }) {
  switch (name) {
    case "": return html`<${List} query=${query} may=${may} />`;
    case "monitors": return id ? html`<${Monitor} id=${id} key=${id} may=${may} />` : html`<${List} query=${query} may=${may} />`;
    case "start": return may("start") ? html`<${Start} query=${query} />` : html`<${Title} name="Start" /><p>Your roles do not allow a start.</p>`;
    case "sources": return html`<${Sources} may=${may} />`;
    case "channels": return html`<${Channels} may=${may} />`;
    case "housekeeping": return html`<${Housekeeping} may=${may} />`;
    default: return html`<${Title} name="No such view" /><p><a href="#/">To the monitors</a></p>`;
  }
}

const VIEW = "job-monitor-view";

/** Back to the view that somebody asked for before the sign-in, which loses what follows the #. */
function goBack() {
  const view = sessionStorage.getItem(VIEW);
  sessionStorage.removeItem(VIEW);
  if (view && !location.hash) location.replace(view);
}

/** Who asks, or what is needed to know it. */
async function find() {
  try {
    const me = await get("me");
    goBack();
    return { me };
  } catch (error) {
    if (!error.unknown) throw error;
    return (await signsIn()) ? { wants: "person" } : { wants: "key", refused: Boolean(key.get()) };
  }
}

function SignIn({ wants, refused, again }) {
  const [given, set] = useState("");
  if (wants === "person") {
    const back = encodeURIComponent(location.pathname);
    return html`<${Title} name="Sign in" /><p>The app does not know who asks.</p>
      <p><a class="button" href=${`/.auth/login/aad?post_login_redirect_uri=${back}`} onClick=${() => sessionStorage.setItem(VIEW, location.hash)}>Sign in</a></p>`;
  }
  const submit = (event) => {
    event.preventDefault();
    key.set(given.trim());
    again();
  };
  return html`<${Title} name="Function key" />
    <form class="key" onSubmit=${submit}>
      ${refused && html`<p class="fault" role="alert">The app refused the key.</p>`}
      <p>The app asks for a function key. This tab keeps it until it is closed, and sends it to this app alone.</p>
      <div class="field"><label for="key">Function key</label>
        <input id="key" type="password" autocomplete="off" spellcheck="false" required value=${given}
          onInput=${(event) => set(event.target.value)} /></div>
      <button class="primary">Go on</button>
    </form>`;
}

const THEMES = ["system", "light", "dark"];
const KEPT = "job-monitor-theme";

function Theme() {
  const [theme, set] = useState(() => (THEMES.includes(localStorage.getItem(KEPT)) ? localStorage.getItem(KEPT) : THEMES[0]));
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem(KEPT, theme);
  }, [theme]);
  return html`<label class="theme"><span class="hidden">Theme</span>
    <select value=${theme} onChange=${(event) => set(event.target.value)}>
      ${THEMES.map((name) => html`<option key=${name} value=${name}>${name[0].toUpperCase() + name.slice(1)}</option>`)}</select></label>`;
}

render(h(App), document.getElementById("app"));
