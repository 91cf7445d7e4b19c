import { h } from "../dom.js";
import { choice, field, tick } from "../fields.js";
import { form, missing } from "../forms.js";
import { newPassword } from "../new-password.js";
import { fault } from "../password-rules.js";
import { accountsLink, nameFault, ROLES } from "../user-parts.js";

const REQUIRED = {
  username: "Enter a username.",
  email: "Enter an email address.",
  password: "Enter a password, or have one made up.",
};

/** @param {import("../main.js").Context} context */
export async function newUser(context) {
  const { signal, first } = context;
  const plain = { type: "text", autocomplete: "off", autocapitalize: "none", spellcheck: "false" };
  const username = field("username", "Username", plain, {
    hint: "Letters and digits, with . _ - between; kept in small letters.",
  });
  const email = field("email", "Email", { ...plain, type: "email" });
  const role = choice("role", "Role", ROLES, { value: "user", hint: "An admin runs the service: accounts, changes, status." });
  const secret = newPassword("password", "First password", () => ({
    username: username.value(),
    email: email.value(),
  }));
  const must = tick("mustChangePassword", "Has to be changed at the first log-in");
  const cancel = h("a", { class: "button", href: "#/users" }, "Cancel");
  const made = form({
    fields: { username, email, role, password: secret, mustChangePassword: must },
    text: "Create user",
    busy: "Creating…",
    idle: "The account can log in at once. Its password is not shown again.",
    signal,
    beside: cancel,
    check(values) {
      const wrong = missing(values, REQUIRED);
      if (!wrong.username && nameFault(values.username)) wrong.username = nameFault(values.username);
      if (!wrong.password) wrong.password = fault(values.password, values);
      return wrong;
    },
    async send(values) {
      const user = await context.call("POST", "/users", { body: values });
      context.say(`${user.username} is created.`);
      await context.go(`/users/${user.id}`);
    },
  });
  return {
    title: "New user",
    focus: first ? null : username.input,
    node: h(
      "section",
      { class: "page narrow" },
      h("div", { class: "page-head" }, h("div", {}, accountsLink(), h("h1", {}, "New user"))),
      h("div", { class: "panel" }, made.node),
    ),
  };
}
