import { h } from "../dom.js";
import { moment } from "../moments.js";

/** @param {import("../main.js").Context} context */
export async function profile({ me, first }) {
  const heading = h("h1", { tabindex: "-1" }, me.username);
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
        ["Username", me.username],
        ["Email", me.email],
        ["Role", me.role],
        ["Account since", moment(me.createdAt)],
        ["Password last changed", moment(me.passwordChangedAt)],
      ]),
      panel("This session", "session", [
        ["Started", moment(me.session?.createdAt)],
        ["Ends by itself", moment(me.session?.expiresAt)],
        ["Session ID", me.session?.id],
      ]),
      me.role === "admin" ? record() : null,
    ),
  );
  return {
    title: "Profile",
    node,
    // After a reload the browser's own place in the page is better.
    focus: first ? null : heading,
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
      "Your own login is there too. Watch them arrive on the page ",
      h("a", { href: "#/changes" }, "Changes"),
      ", or in a terminal:",
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
