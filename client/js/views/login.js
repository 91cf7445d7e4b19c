import { ApiError, request } from "../api.js";
import { h } from "../dom.js";
import { field, password } from "../fields.js";
import { form, missing } from "../forms.js";

const IDLE = "Log out when you are done: closing the tab does not end the session.";
const EXAMPLE = `{"action":"db_change", "change":{"type":"UPDATE", "table":"users", \
"key":{"id":3}, "hiddenChange":true, …}, …}`;
const REQUIRED = {
  usernameOrEmail: "Enter your username or email.",
  password: "Enter your password.",
};

/** @param {import("../main.js").Context} context */
export async function login({ signal, notice, loggedIn }) {
  const user = field("usernameOrEmail", "Username or email", {
    type: "text",
    autocomplete: "username",
    autocapitalize: "none",
    spellcheck: "false",
  });
  const secret = password("password", "Password", { autocomplete: "current-password" });
  const made = form({
    fields: { usernameOrEmail: user, password: secret },
    text: "Log in",
    busy: "Logging in…",
    idle: IDLE,
    signal,
    check: (values) => missing(values, REQUIRED),
    async send(values) {
      const answer = await request("POST", "/login", { body: values, signal });
      if (typeof answer.token !== "string") throw new ApiError("answer", { status: 200 });
      await loggedIn({ token: answer.token, expiresAt: answer.expiresAt });
    },
    refuse(error) {
      if (error.status !== 401) return false;
      made.say("That username or email and that password do not belong together.", "danger");
      secret.input.focus();
      secret.input.select();
      return true;
    },
  });
  if (notice) user.describe("notice");

  return {
    title: "Log in",
    focus: user.input,
    node: h(
      "div",
      { class: "login" },
      h(
        "section",
        { class: "login-card panel", "aria-labelledby": "login-title" },
        h("h1", { id: "login-title" }, "Log in"),
        notice && h("p", { class: `note ${notice.tone}`, id: "notice", role: "status" }, notice.text),
        made.node,
      ),
      creed(),
    ),
  };
}

function creed() {
  return h(
    "section",
    { class: "creed", "aria-labelledby": "creed-title" },
    h("h2", { id: "creed-title" }, "Every credential change is on record."),
    h(
      "ol",
      { class: "way" },
      step("A credential changes", "On this page, or by SQL on the database."),
      step("The database tells", "Change capture sends the row to Kafka, without its secrets."),
      step("It is on record", "About a second later: one line of JSON in the journal.", EXAMPLE),
    ),
  );
}

function step(title, text, example) {
  return h(
    "li",
    {},
    h("strong", {}, title),
    h("span", {}, text),
    example && h("code", { class: "slip" }, example),
  );
}
