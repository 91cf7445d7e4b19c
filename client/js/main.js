/** The router: which view is shown, and what every view shares. */

import { ApiError, request } from "./api.js";
import { h, setBusy } from "./dom.js";
import { navigation } from "./navigation.js";
import { HOME, LOGIN, match, PASSWORD } from "./routes.js";
import * as session from "./session.js";
import { failure, nothing } from "./states.js";
import { absolute } from "./time.js";
import { say } from "./toast.js";
import { login } from "./views/login.js";
import { watch } from "./watch.js";

/**
 * A view is `async (context) => ({title, node, focus?, close?})`. It is shown when its promise
 * resolves; until then the view before it stays. `focus` gets the focus when the view is shown,
 * `close` is called when it goes. An {@link ApiError} that it throws is told in its place.
 *
 * @typedef {Object} Context
 * @property {AbortSignal} signal ends when the view is left
 * @property {{text: string, tone: string}|null} notice something to tell on arrival
 * @property {boolean} first whether this is the first view since the page was loaded
 * @property {Object} me the profile, as `GET /profile` answers it; null without a session
 * @property {number|null} id the number in the address
 * @property {URLSearchParams} params what stands behind the `?` of the address
 * @property {(params: Object<string, string|number|null>) => void} setParams keep what the user
 *   chose (filters) in the address, without showing the view anew; empty ones are left out
 * @property {(address: string) => Promise<void>} go show another address, such as `/users/5`
 * @property {(text: string, tone?: string) => void} say a short word on what was done
 * @property {(method: string, path: string, options?: Object) => Promise<Object>} call an API call
 *   with the session's token; a 401 leads back to log-in
 * @property {(session: {token: string, expiresAt: string}) => Promise<void>} loggedIn
 * @property {() => Promise<void>} reload show the same view anew
 * @property {() => Promise<Object>} identify ask anew who one is
 * @property {() => Promise<void>} onward go where one was going before the password had to be changed
 */

const SCROLLED_MS = 200;

const place = document.getElementById("view");
const account = document.getElementById("account");
const pages = document.getElementById("pages");

/** Comes when the first admin does. */
let banner = null;
let shown = null;
let leave = new AbortController();
let first = true;
let notice = null;
let me = null;
/** Where the user was going when the password had to be changed first. */
let wanted = null;
let scrolled = null;

async function render() {
  leave.abort();
  clearTimeout(scrolled);
  const mine = (leave = new AbortController());
  const { path, params } = address();
  const found = match(path);
  if (path === "" || path === "/" || (found?.route.who === "anybody" && session.current())) {
    // Replaced: nobody wants to go back to an address that only leads on.
    return replace(HOME);
  }
  place.setAttribute("aria-busy", "true");
  const context = {
    signal: mine.signal,
    notice,
    first,
    params,
    id: found?.id ?? null,
    call: (method, to, options = {}) => call(method, to, { signal: mine.signal, ...options }),
    setParams,
    go,
    say,
    loggedIn,
    identify,
    onward,
    reload: render,
  };
  const built = await build(found, path, context);
  if (mine.signal.aborted) return built?.close?.();
  show(built, found?.route);
}

async function build(found, path, context) {
  // Without a session the address stays, so that log-in leads to where the user was going.
  if (!session.current()) return login({ ...context, me: null });
  try {
    if (!me || path === HOME) await identify(context.signal);
    if (context.signal.aborted) return null;
    if (me.mustChangePassword && path !== PASSWORD) {
      wanted = location.hash.slice(1);
      return replace(PASSWORD);
    }
    if (!found) {
      return nothing("There is no such page", "The address may be old, or mistyped.", context);
    }
    if (found.route.who === "admin" && me.role !== "admin") {
      return nothing("This page is for admins", "Your account has the role user.", context);
    }
    return await found.route.view({ ...context, me });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const title = `${found?.route.title ?? found?.route.nav ?? "The page"} could not be loaded`;
    return failure(error, { ...context, title });
  }
}

function show(built, route) {
  shown?.close?.();
  shown = built;
  const here = session.current() && me;
  document.title = `${built.title} · Helfy`;
  pages.replaceChildren(...[navigation(here ? me : null, route?.under ?? route?.path)].filter(Boolean));
  account.replaceChildren(...(session.current() ? [logOutButton()] : []));
  showGaps(Boolean(here) && me.role === "admin" && !me.mustChangePassword);
  place.replaceChildren(built.node);
  place.removeAttribute("aria-busy");
  built.focus?.focus({ preventScroll: true });
  scrollTo(0, history.state?.y ?? 0);
  first = false;
  notice = null;
}

async function showGaps(mine) {
  if (mine && !banner) {
    // What cannot be loaded now is tried again with the next view.
    const { gapsBanner } = await import("./gaps.js").catch(() => ({}));
    banner ??= gapsBanner?.(document.getElementById("gaps"), { call, say, signal: () => leave.signal });
  }
  banner?.show(Boolean(mine && session.current()));
}

function address() {
  const [path, query = ""] = location.hash.slice(1).split("?", 2);
  return { path, params: new URLSearchParams(query) };
}

function setParams(params) {
  const { path } = address();
  const kept = Object.entries(params).filter(([, value]) => value != null && value !== "");
  const query = new URLSearchParams(kept).toString();
  history.replaceState(history.state, "", `#${path}${query && `?${query}`}`);
}

function replace(to) {
  history.replaceState(null, "", `#${to}`);
  return render();
}

function go(to) {
  // The event that a new hash makes would come later than the promise that is given here.
  history.pushState(null, "", `#${to}`);
  return render();
}

async function identify(signal) {
  me = await call("GET", "/profile", { signal });
  return me;
}

async function call(method, path, options = {}) {
  const here = session.current();
  try {
    return await request(method, path, { ...options, token: here?.token });
  } catch (error) {
    const same = here && session.current()?.token === here.token;
    if (error.status === 401 && same) {
      forget();
      notice = { text: "Your session has ended. Log in again to go on.", tone: "caution" };
      render();
    }
    if (error.status === 403 && same) await look();
    throw error;
  }
}

/** What was allowed is not: somebody has changed this account meanwhile. */
async function look() {
  const before = me;
  await identify().catch(() => {});
  if (before && (before.role !== me?.role || before.mustChangePassword !== me?.mustChangePassword)) {
    render();
  }
}

function forget() {
  session.end();
  me = null;
}

async function loggedIn(fresh) {
  me = null;
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
    session.logOut();
    me = null;
    // A new entry: Back then leads to the page's address, which asks for a log-in.
    go(LOGIN);
  });
  return button;
}

function onlyHere(here) {
  const until = here?.expiresAt ? ` until ${absolute(here.expiresAt)}` : " for a while";
  return `You are logged out in this browser. The server could not be reached: there the session lasts${until}.`;
}

/** Where the password had to be changed first, the way leads on from there. */
function onward() {
  const to = wanted ?? HOME;
  wanted = null;
  return go(to);
}

addEventListener("hashchange", render);
// A page that the browser kept while the user was elsewhere shows what was true then.
addEventListener("pageshow", (event) => {
  if (event.persisted) render();
});
history.scrollRestoration = "manual";
addEventListener("scroll", () => {
  clearTimeout(scrolled);
  scrolled = setTimeout(() => history.replaceState({ ...history.state, y: scrollY }, ""), SCROLLED_MS);
});
document.getElementById("skip").addEventListener("click", () => {
  const heading = place.querySelector("h1[tabindex]") ?? place;
  heading.focus();
});
watch(() => call("GET", "/profile"));
session.onLogout(() => {
  me = null;
  notice = { text: "You logged out in another tab.", tone: "" };
  render();
});
session.adopt().then(render);
