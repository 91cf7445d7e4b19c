/** A list of sessions, one's own or somebody's, each of which can be ended. */

import { ago, moment } from "./moments.js";
import { busyButton, h, setBusy } from "./dom.js";
import { describe } from "./messages.js";
import { program } from "./user-agent.js";

const PAGE = 20;

/**
 * @param {string} path where the API has them: `/sessions`, `/users/5/sessions`
 * @param {import("./main.js").Context} context
 * @param {{empty: string, onEnded?: () => void}} options
 * @returns {Promise<{node: HTMLElement, refresh: () => Promise<void>, count: () => number}>}
 * @throws {import("./api.js").ApiError}
 */
export async function sessionsList(path, context, { empty, onEnded }) {
  const list = h("ul", { class: "sessions" });
  const nothing = h("p", { class: "empty" }, empty);
  const { button: more } = busyButton("Show more", { class: "button", type: "button" });
  const node = h("div", { class: "sessions-list" }, list, nothing, more);
  let next = null;
  more.addEventListener("click", showMore);
  await refresh();
  return { node, refresh, count: () => list.children.length };

  async function load(after) {
    const query = new URLSearchParams({ limit: PAGE, ...(after ? { after } : {}) });
    return context.call("GET", `${path}?${query}`);
  }

  async function refresh() {
    const page = await load(null);
    list.replaceChildren();
    add(page);
  }

  function add(page) {
    next = page.next;
    list.append(...page.items.map(item));
    settle();
  }

  function settle() {
    nothing.hidden = list.children.length > 0;
    list.hidden = !nothing.hidden;
    more.hidden = next === null;
  }

  async function showMore() {
    if (more.getAttribute("aria-disabled") === "true") return;
    setBusy(more, true);
    try {
      const page = await load(next);
      const before = list.children.length;
      add(page);
      // The button may be gone; what it brought is where one goes on.
      list.children[before]?.focus();
    } catch (error) {
      if (!context.signal.aborted) context.say(describe(error).text, "caution");
    } finally {
      setBusy(more, false);
    }
  }

  function item(session) {
    const name = program(session.client);
    const place = session.ip ?? "an unknown address";
    return h(
      "li",
      { class: "session", tabindex: "-1" },
      h(
        "div",
        { class: "session-head" },
        h("strong", { title: session.client }, name),
        session.current && h("span", { class: "badge good" }, "This one"),
        h("span", { class: "session-place" }, "from ", h("code", {}, place)),
      ),
      h(
        "dl",
        { class: "session-facts" },
        fact("Last used", ago(session.lastSeenAt)),
        fact("Started", moment(session.createdAt)),
        fact("Ends if not used", ago(session.idleExpiresAt)),
      ),
      session.current
        ? h("p", { class: "session-aside" }, "Log out to end it.")
        : endButton(session, `${name} from ${place}`),
    );
  }

  function endButton(session, name) {
    const { button } = busyButton("End", {
      class: "button small",
      type: "button",
      "aria-label": `End the session of ${name}`,
    });
    button.addEventListener("click", async () => {
      if (button.getAttribute("aria-disabled") === "true") return;
      setBusy(button, true);
      try {
        await context.call("DELETE", `${path}/${session.id}`);
        remove(button.closest("li"), `The session of ${name} has ended.`);
      } catch (error) {
        if (context.signal.aborted) return;
        // It has ended meanwhile, which is what was asked for.
        if (error.status === 404) remove(button.closest("li"), `The session of ${name} had ended already.`);
        else context.say(describe(error).text, "caution");
      } finally {
        setBusy(button, false);
      }
    });
    return button;
  }

  function remove(row, words) {
    const neighbour = row.nextElementSibling ?? row.previousElementSibling;
    row.remove();
    settle();
    (neighbour?.querySelector("button") ?? neighbour ?? node.closest("section")?.querySelector("h1,h2"))?.focus();
    context.say(words);
    onEnded?.();
  }
}

function fact(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value));
}
