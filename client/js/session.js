/**
 * The token, in this tab's sessionStorage, or in memory where storage is switched off.
 *
 * A new tab of the same origin asks the open ones for their session. A tab that logs out ends the
 * session in the others too, and asks nobody afterwards.
 */

const KEY = "helfy.session";
const LOGGED_OUT = "helfy.logged-out";
const ANSWER_MS = 150;
const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel(KEY) : null;
let memory = null;
let adopted = null;
let ended = () => {};

channel?.addEventListener("message", ({ data }) => {
  const here = current();
  if (data.type === "request" && here) channel.postMessage({ type: "session", session: here });
  if (data.type === "session" && !here) adopted?.(data.session);
  if (data.type === "logout" && here?.token === data.token) {
    end();
    ended();
  }
});

/** @returns {{token: string, expiresAt: string}|null} */
export function current() {
  try {
    const stored = JSON.parse(sessionStorage.getItem(KEY));
    return typeof stored?.token === "string" && stored.token !== "" ? stored : memory;
  } catch {
    return memory;
  }
}

/** Take the session of a tab that is open, where this one has none and did not log out. */
export async function adopt() {
  if (!channel || current() || wasLoggedOut()) return;
  const session = await new Promise((resolve) => {
    adopted = resolve;
    channel.postMessage({ type: "request" });
    setTimeout(resolve, ANSWER_MS);
  });
  adopted = null;
  if (session && !current()) start(session);
}

export function start({ token, expiresAt }) {
  const session = { token, expiresAt };
  try {
    sessionStorage.removeItem(LOGGED_OUT);
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

/** End the session in every tab that has it. */
export function logOut() {
  const here = current();
  end();
  try {
    sessionStorage.setItem(LOGGED_OUT, "true");
  } catch {
    // Without storage the next load asks the open tabs again.
  }
  if (here) channel?.postMessage({ type: "logout", token: here.token });
}

/** @param {() => void} listener called when another tab logged out of this tab's session */
export function onLogout(listener) {
  ended = listener;
}

function wasLoggedOut() {
  try {
    return sessionStorage.getItem(LOGGED_OUT) !== null;
  } catch {
    return false;
  }
}
