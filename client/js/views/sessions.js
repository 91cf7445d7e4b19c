import { confirm } from "../dialog.js";
import { h } from "../dom.js";
import { sessionsList } from "../sessions-list.js";

/** @param {import("../main.js").Context} context */
export async function sessions(context) {
  const list = await sessionsList("/sessions", context, {
    empty: "There is none, not even this one.",
    onEnded: settle,
  });
  const heading = h("h1", { tabindex: "-1" }, "Where you are logged in");
  const others = h("button", { class: "button", type: "button", onclick: endOthers }, "End all others");
  settle();

  return {
    title: "Sessions",
    focus: context.first ? null : heading,
    node: h(
      "section",
      { class: "page" },
      h(
        "div",
        { class: "page-head" },
        h(
          "div",
          {},
          heading,
          h("p", {}, "Is there one that you do not know? End it, then ", h("a", { href: "#/password" }, "change your password"), "."),
        ),
        others,
      ),
      list.node,
    ),
  };

  /** Always in its place, so that nothing moves: it says itself where there is nothing to end. */
  function settle() {
    others.disabled = list.count() < 2;
  }

  async function endOthers() {
    const done = await confirm({
      title: "End all other sessions?",
      text: "Wherever else you are logged in, the password has to be entered again. This session goes on.",
      yes: "End all others",
      signal: context.signal,
      act: () => context.call("DELETE", "/sessions"),
    });
    if (!done) return;
    context.say(ended(done.ended));
    await context.reload();
  }
}

function ended(count) {
  if (count === 0) return "There was no other session.";
  return count === 1 ? "One other session has ended." : `${count} other sessions have ended.`;
}
