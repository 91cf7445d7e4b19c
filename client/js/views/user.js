import { h } from "../dom.js";
import { moment } from "../moments.js";
import { sessionsList } from "../sessions-list.js";
import { nothing } from "../states.js";
import { accountsLink, badges } from "../user-parts.js";
import { userActions } from "../user-actions.js";
import { userForm } from "../user-form.js";

/** One account. @param {import("../main.js").Context} context */
export async function user(context) {
  const { id, me, first } = context;
  let shown;
  let list;
  try {
    [shown, list] = await Promise.all([
      context.call("GET", `/users/${id}`),
      sessionsList(`/users/${id}/sessions`, context, { empty: "Not logged in anywhere." }),
    ]);
  } catch (error) {
    if (error.status !== 404) throw error;
    const text = "It may have been deleted meanwhile.";
    return nothing("There is no such user", text, { first, link: "#/users", linkText: "All users" });
  }
  const heading = h("h1", { tabindex: "-1" });
  const marks = h("div", { class: "marks" });
  const facts = h("dl", { class: "facts" });
  const edit = userForm(shown, context, update);
  const actions = userActions(() => shown, context, { update, sessionsGone: list.refresh });
  update(shown);

  return {
    title: shown.username,
    focus: first ? null : heading,
    node: h(
      "section",
      { class: "page" },
      h("div", { class: "page-head" }, h("div", {}, accountsLink(), heading, marks)),
      h(
        "div",
        { class: "two" },
        panel("Names and role", "edit", edit.node),
        h("div", { class: "stack" }, panel("Dates", "facts", facts), panel("Access", "access", actions.node)),
      ),
      h(
        "section",
        { class: "stack", "aria-labelledby": "sessions-title" },
        h(
          "div",
          { class: "page-head" },
          h("h2", { id: "sessions-title", tabindex: "-1" }, "Sessions"),
          actions.endSessions,
        ),
        list.node,
      ),
    ),
  };

  /** The account is another one now: say so everywhere. */
  function update(user) {
    shown = user;
    heading.textContent = user.username;
    marks.replaceChildren(badges(user, me));
    facts.replaceChildren(
      fact("Account since", moment(user.createdAt)),
      fact("Last changed", moment(user.updatedAt)),
      fact("Password changed", moment(user.passwordChangedAt)),
      fact("ID", user.id),
    );
    actions.update();
    edit.update(user);
  }
}

function panel(title, id, content) {
  return h(
    "section",
    { class: "panel stack", "aria-labelledby": `${id}-title` },
    h("h2", { id: `${id}-title` }, title),
    content,
  );
}

function fact(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value));
}
