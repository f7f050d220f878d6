// The calls to the API beside this page. The function key is kept in sessionStorage, and goes out in
// a header alone.

const BASE = new URL("../", import.meta.url);
const KEPT = "job-monitor-key";
const TIMEOUT = 30_000;

let skew = 0;

/** The time by the clock of the app, in milliseconds. */
export const now = () => Date.now() + skew;

export const key = {
  get: () => sessionStorage.getItem(KEPT) ?? "",
  set: (value) => (value ? sessionStorage.setItem(KEPT, value) : sessionStorage.removeItem(KEPT)),
};

/** An answer that is an error: `errors` has every fault with its field, `keyless` says that the host asks for a key. */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? WORDS[status] ?? `The app answered with status ${status}.`);
    this.status = status;
    this.errors = problem?.errors ?? [];
    this.problem = problem ?? {};
    this.unknown = status === 401 || (status === 403 && !problem);
  }
}

const WORDS = {
  401: "The app does not know who asks.",
  403: "The key does not open this.",
  404: "The app has no such address.",
  503: "The app is not there at the moment.",
};

/** Send a request; the JSON of its answer. `path` is relative to the API, `query` leaves out what is empty. */
export async function call(method, path, { query = {}, body, signal, using } = {}) {
  const url = new URL(path, BASE);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  // Another site can't make a browser send these two without asking first.
  const headers = { "X-Requested-With": "JobMonitor" };
  if (method !== "GET") headers["Content-Type"] = "application/json";
  const secret = using ?? key.get();
  if (secret) headers["x-functions-key"] = secret;
  const limit = AbortSignal.timeout(TIMEOUT);
  let answer;
  try {
    answer = await fetch(url, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
      cache: "no-store",
      redirect: "error",
      referrerPolicy: "no-referrer",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, { detail: "The app can't be reached." });
  }
  const date = Date.parse(answer.headers.get("Date") ?? "");
  // Its clock tells whole seconds.
  if (Math.abs(date - Date.now()) > 5_000) skew = date - Date.now();
  const json = /[/+]json/.test(answer.headers.get("Content-Type") ?? "");
  const told = json ? await answer.json().catch(() => null) : null;
  if (!answer.ok) throw new ApiError(answer.status, told);
  return told;
}

export const get = (path, query, signal) => call("GET", path, { query, signal });
export const post = (path, query) => call("POST", path, { query });
export const monitorPath = (id, more = "") => `monitors/${encodeURIComponent(id)}${more}`;

/** Start a watch. The management URLs of the answer hold a key of the whole hub: they end here. */
export async function start(body) {
  return (await call("POST", "monitors", { body })).monitor;
}

export async function restart(id) {
  return (await call("POST", monitorPath(id, "/restart"))).monitor;
}

export async function startCleanup() {
  await call("POST", "cleanup");
}

/** Whether people sign in, and no key is asked for. */
export async function signsIn() {
  const document = await get("openapi.json");
  return "entra" in document.components.securitySchemes;
}
