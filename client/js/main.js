/** The router: which view is shown, and what every view shares. */

import { request } from "./api.js";
import { h, setBusy } from "./dom.js";
import * as session from "./session.js";
import { absolute } from "./time.js";
import { login } from "./views/login.js";
import { profile } from "./views/profile.js";

/**
 * A view is `async (context) => ({title, node, focus?, close?})`. It is shown when its promise
 * resolves; until then the view before it stays. `focus` gets the focus when the view is shown,
 * `close` is called when it goes.
 *
 * @typedef {Object} Context
 * @property {AbortSignal} signal ends when the view is left
 * @property {{text: string, tone: string}|null} notice something to tell on arrival
 * @property {boolean} first whether this is the first view since the page was loaded
 * @property {(method: string, path: string, options?: Object) => Promise<Object>} call an API call
 *   with the session's token; a 401 leads back to log-in
 * @property {(session: {token: string, expiresAt: string}) => Promise<void>} loggedIn
 * @property {() => Promise<void>} reload show the same view anew
 */

const HOME = "/profile";
const ROUTES = { "/login": { view: login, open: true }, "/profile": { view: profile, open: false } };

const place = document.getElementById("view");
const account = document.getElementById("account");

let shown = null;
let leave = new AbortController();
let first = true;
let notice = null;

async function render() {
  leave.abort();
  const mine = (leave = new AbortController());
  const path = location.hash.slice(1);
  const route = ROUTES[path];
  const here = session.current();
  if (!route || (route.open && here)) {
    // Replaced: nobody wants to go back to an address that only leads on.
    history.replaceState(null, "", `#${HOME}`);
    return render();
  }

  // Without a session the address stays, so that log-in leads to where the user was going.
  const view = here ? route.view : login;
  const built = await view({
    signal: mine.signal,
    notice,
    first,
    call: (method, to, options = {}) => call(method, to, { signal: mine.signal, ...options }),
    loggedIn,
    reload: render,
  });
  if (mine.signal.aborted) return built?.close?.();

  shown?.close?.();
  shown = built;
  document.title = `${built.title} · Helfy`;
  account.replaceChildren(...(here ? [logOutButton()] : []));
  place.replaceChildren(built.node);
  built.focus?.focus();
  first = false;
  notice = null;
}

async function call(method, path, options) {
  const here = session.current();
  try {
    return await request(method, path, { ...options, token: here?.token });
  } catch (error) {
    if (error.status === 401 && here && session.current()?.token === here.token) {
      session.end();
      notice = { text: "Your session has ended. Log in again to go on.", tone: "caution" };
      render();
    }
    throw error;
  }
}

async function loggedIn(fresh) {
  session.start(fresh);
  await render();
}

function logOutButton() {
  const button = h("button", { class: "button", type: "button" }, "Log out");
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-disabled") === "true") return;
    setBusy(button, true);
    const here = session.current();
    notice = { text: "You are logged out.", tone: "" };
    try {
      await request("POST", "/logout", { token: here?.token });
    } catch (error) {
      // A 401 says that the session had ended already, which is what was asked for.
      if (error.status !== 401) notice = { text: onlyHere(here), tone: "caution" };
    }
    session.end();
    // A new entry: Back then leads to the profile's address, which asks for a log-in.
    history.pushState(null, "", "#/login");
    render();
  });
  return button;
}

function onlyHere(here) {
  const until = here?.expiresAt ? ` until ${absolute(here.expiresAt)}` : " for a while";
  return `You are logged out in this tab. The server could not be told: there the session lasts${until}.`;
}

addEventListener("hashchange", render);
// A page that the browser kept while the user was elsewhere shows what was true then.
addEventListener("pageshow", (event) => {
  if (event.persisted) render();
});
render();
