// What the views share in behaviour: the address, live data, actions.

import { useCallback, useEffect, useRef, useState } from "./preact-hooks.mjs";

/** The address behind the hash: `#/monitors/demo.a?x=y` is `["monitors", "demo.a"]` with `{x: "y"}`. */
export function readAddress(hash = location.hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?");
  const parts = path.split("/").filter(Boolean).map(decoded);
  return { parts, query: Object.fromEntries(new URLSearchParams(query)), hash };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function addressOf(parts, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value);
  const search = new URLSearchParams(given).toString();
  return `#/${parts.map(encodeURIComponent).join("/")}${search ? `?${search}` : ""}`;
}

export function useAddress() {
  const [address, set] = useState(readAddress);
  useEffect(() => {
    const changed = () => set(readAddress());
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return address;
}

/**
 * Data that stays fresh: `ask(signal)` is called at once and again after each `seconds`, not while the
 * tab is hidden. `wanted` names the data: another name drops what is shown.
 */
export function useLive(wanted, seconds, ask) {
  const [shown, set] = useState({ wanted, data: null, error: null });
  const asking = useRef(ask);
  asking.current = ask;
  const again = useRef(() => {});
  useEffect(() => {
    const gone = new AbortController();
    let timer, under = false;
    async function look() {
      clearTimeout(timer);
      if (document.hidden || under) return;
      under = true;
      try {
        const data = await asking.current(gone.signal);
        if (!gone.signal.aborted) set({ wanted, data, error: null });
      } catch (error) {
        if (gone.signal.aborted) return;
        if (!(error instanceof Error)) throw error;
        set((before) => ({ wanted, data: before.wanted === wanted ? before.data : null, error }));
      } finally {
        under = false;
      }
      if (!gone.signal.aborted) timer = setTimeout(look, seconds * 1000);
    }
    again.current = look;
    look();
    document.addEventListener("visibilitychange", look);
    return () => {
      gone.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", look);
    };
  }, [wanted, seconds]);
  const fits = shown.wanted === wanted;
  const reload = useCallback(() => again.current(), []);
  return { data: fits ? shown.data : null, error: fits ? shown.error : null, reload };
}

/** Something that the user asks for: `run(act)` calls it once at a time, and keeps its words or its error. */
export function useAction() {
  const [state, set] = useState({ busy: false, said: "", error: null });
  const busy = useRef(false);
  const run = useCallback(async (act) => {
    if (busy.current) return;
    busy.current = true;
    set({ busy: true, said: "", error: null });
    try {
      const said = await act();
      set({ busy: false, said: said ?? "", error: null });
    } catch (error) {
      set({ busy: false, said: "", error });
    } finally {
      busy.current = false;
    }
  }, []);
  return { ...state, run };
}
