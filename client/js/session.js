/** The token, in this tab alone: sessionStorage, or memory where storage is switched off. */

const KEY = "helfy.session";
let memory = null;

/** @returns {{token: string, expiresAt: string}|null} */
export function current() {
  try {
    const stored = JSON.parse(sessionStorage.getItem(KEY));
    return typeof stored?.token === "string" && stored.token !== "" ? stored : memory;
  } catch {
    return memory;
  }
}

export function start({ token, expiresAt }) {
  const session = { token, expiresAt };
  try {
    sessionStorage.setItem(KEY, JSON.stringify(session));
  } catch {
    memory = session;
  }
}

export function end() {
  memory = null;
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // Nothing was stored where nothing can be.
  }
}
