import { busyButton, h, setBusy } from "../dom.js";
import { describe } from "../messages.js";
import { absolute, relative } from "../time.js";

const TICK_MS = 30_000;

/** @param {import("../main.js").Context} context */
export async function profile(context) {
  let data;
  try {
    data = await context.call("GET", "/profile", { signal: context.signal });
  } catch (error) {
    return failure(error, context);
  }
  const heading = h("h1", { tabindex: "-1" }, data.username);
  const node = h(
    "div",
    { class: "profile" },
    h(
      "div",
      { class: "profile-head" },
      h("p", {}, "You are logged in as"),
      heading,
    ),
    h(
      "div",
      { class: "profile-panels" },
      panel("Your account", "account", [
        ["Username", data.username],
        ["Email", data.email],
        ["Role", data.role],
        ["Account since", moment(data.createdAt)],
        ["Password last changed", moment(data.passwordChangedAt)],
      ]),
      panel("This session", "session", [
        ["Started", moment(data.session?.createdAt)],
        ["Ends by itself", moment(data.session?.expiresAt)],
        ["Session ID", data.session?.id],
      ]),
      record(),
    ),
  );
  return {
    title: "Profile",
    node,
    // After a reload the browser's own place in the page is better.
    focus: context.first ? null : heading,
    close: keepCurrent(node, data.session?.expiresAt, context),
  };
}

function failure(error, { reload, first }) {
  const { text, requestId } = describe(error);
  const { button } = busyButton("Try again", { class: "button main", type: "button" });
  button.addEventListener("click", () => {
    if (button.getAttribute("aria-disabled") === "true") return;
    setBusy(button, true);
    reload();
  });
  const heading = h("h1", { tabindex: "-1" }, "Your profile could not be loaded");
  return {
    title: "Not loaded",
    focus: first ? null : heading,
    node: h(
      "div",
      { class: "panel alone", role: "alert" },
      heading,
      h("p", {}, text),
      requestId && h("p", {}, "Request ", h("code", {}, requestId)),
      button,
    ),
  };
}

function panel(title, id, facts) {
  const shown = facts.filter(([, value]) => value != null && value !== "");
  return h(
    "section",
    { class: "panel", "aria-labelledby": `${id}-title` },
    h("h2", { id: `${id}-title` }, title),
    h(
      "dl",
      { class: "facts" },
      ...shown.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
    ),
  );
}

function record() {
  return h(
    "section",
    { class: "panel record", "aria-labelledby": "record-title" },
    h("h2", { id: "record-title" }, "The record of changes"),
    h(
      "p",
      {},
      "Every change to an account or a session becomes one line of JSON, about a second later. ",
      "Your own log-in is there too. Watch it:",
    ),
    h(
      "div",
      { class: "commands" },
      command("On the VM", "journalctl -u helfy-consumer -f"),
      command("In the project’s folder on your machine", "make changes"),
    ),
  );
}

function command(where, line) {
  // A hyphen inside a word of a command is no place to break the line.
  const words = line.split(" ").flatMap((word) => [" ", h("span", {}, word)]);
  return h(
    "figure",
    { class: "command" },
    h("figcaption", {}, where),
    h("code", {}, ...words.slice(1)),
  );
}

/** A time with how long it is from now, which {@link keepCurrent} renews. */
function moment(iso) {
  if (!iso) return null;
  return h(
    "time",
    { datetime: iso },
    absolute(iso),
    " ",
    h("span", { class: "aside" }, relative(iso)),
  );
}

/**
 * Renew the relative times, and ask the API whether the session still stands when it should have
 * ended and when the user comes back to the tab. The API decides, not this machine's clock.
 *
 * @returns {() => void} stops it
 */
function keepCurrent(node, expiresAt, { call }) {
  let asked = Date.now();

  const ask = () => {
    if (Date.now() - asked < TICK_MS) return;
    asked = Date.now();
    // A 401 leads back to log-in by itself; anything else can wait for the next time.
    call("GET", "/profile").catch(() => {});
  };
  const tick = () => {
    for (const time of node.querySelectorAll("time")) {
      time.lastChild.textContent = relative(time.dateTime);
    }
    if (Date.parse(expiresAt) < Date.now()) ask();
  };
  const back = () => {
    if (document.visibilityState === "visible") {
      tick();
      ask();
    }
  };

  const timer = setInterval(tick, TICK_MS);
  document.addEventListener("visibilitychange", back);
  return () => {
    clearInterval(timer);
    document.removeEventListener("visibilitychange", back);
  };
}
