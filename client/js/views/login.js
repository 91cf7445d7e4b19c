import { ApiError, request } from "../api.js";
import { busyButton, h, setBusy } from "../dom.js";
import { describe, tooMany } from "../messages.js";

const IDLE = "You stay logged in until you log out or close this tab.";
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
  const password = field("password", "Password", {
    type: "password",
    autocomplete: "current-password",
  });
  const fields = { usernameOrEmail: user, password };
  const hidden = addToggle(password);
  watchCapsLock(password);

  const { button, label } = busyButton("Log in", { class: "button main", type: "submit" });
  const slot = h("div", { class: "note slot", "aria-atomic": "true" });
  let countdown = null;
  say(IDLE);

  const form = h(
    "form",
    { method: "post", novalidate: true, onsubmit: submit },
    user.node,
    password.node,
    button,
    slot,
  );
  if (notice) user.describe("notice");

  return {
    title: "Log in",
    focus: user.input,
    close: () => clearInterval(countdown),
    node: h(
      "div",
      { class: "login" },
      h(
        "section",
        { class: "login-card panel", "aria-labelledby": "login-title" },
        h("h1", { id: "login-title" }, "Log in"),
        notice && h("p", { class: `note ${notice.tone}`, id: "notice", role: "status" }, notice.text),
        form,
      ),
      creed(),
    ),
  };

  async function submit(event) {
    event.preventDefault();
    if (button.getAttribute("aria-disabled") === "true") return;
    clearInterval(countdown);
    hidden();
    const values = { usernameOrEmail: user.input.value.trim(), password: password.input.value };
    say(IDLE);
    if (!showFields(missing(values))) return;

    setBusy(button, true);
    label.textContent = "Logging in…";
    try {
      const answer = await request("POST", "/login", { body: values, signal });
      if (typeof answer.token !== "string") throw new ApiError("answer", { status: 200 });
      await loggedIn({ token: answer.token, expiresAt: answer.expiresAt });
    } catch (error) {
      if (!signal.aborted) fail(error);
    } finally {
      setBusy(button, false);
      label.textContent = "Log in";
    }
  }

  function fail(error) {
    if (error.status === 401) {
      say("That username or email and that password do not belong together.", "danger");
      password.input.focus();
      password.input.select();
      return;
    }
    if (error.status === 400) {
      say("Look at what is marked above.", "danger");
      const told = Object.entries(error.fields).map(([name, text]) => [
        name,
        sentence(fields[name]?.text ?? name, text),
      ]);
      if (!showFields(Object.fromEntries(told))) return;
      const other = told.map(([, text]) => text).join(" ");
      say(`Helfy does not accept this. ${other}`.trim(), "danger", error.requestId);
      return;
    }
    const { text, tone, requestId } = describe(error);
    if (error.status === 429 && error.retryAfter) countDown(error.retryAfter);
    else say(text, tone, requestId);
    slot.scrollIntoView({ block: "nearest" });
  }

  /** @returns {boolean} true where nothing was wrong; otherwise the first wrong field has the focus */
  function showFields(errors) {
    let bad = null;
    for (const [name, shown] of Object.entries(fields)) {
      shown.fail(errors[name] ?? "");
      if (errors[name]) bad ??= shown;
    }
    bad?.input.focus();
    return bad === null;
  }

  function say(text, tone = "", requestId = "") {
    // Read out at once, unless it only says how things are.
    slot.setAttribute("aria-live", tone ? "assertive" : "off");
    slot.className = `note slot ${tone || "calm"}`;
    slot.replaceChildren(h("p", {}, text));
    if (requestId) {
      slot.append(h("p", { class: "note-aside" }, "Request ", h("code", {}, requestId)));
    }
  }

  /** The seconds are read out once; the ticking is for the eyes alone. */
  function countDown(wait) {
    const until = Date.now() + wait * 1000;
    say(tooMany(wait), "caution");
    countdown = setInterval(() => {
      const left = Math.max(0, Math.ceil((until - Date.now()) / 1000));
      if (left === 0) clearInterval(countdown);
      slot.setAttribute("aria-live", left === 0 ? "assertive" : "off");
      slot.firstChild.textContent = tooMany(left);
    }, 1000);
  }
}

function missing(values) {
  return Object.fromEntries(Object.entries(REQUIRED).filter(([name]) => values[name] === ""));
}

/** The API says "must be …" of a field by its name in JSON; people know it by its label. */
function sentence(label, text) {
  return /^[a-z]/.test(text) ? `${label} ${text.replace(/\.$/, "")}.` : text;
}

function field(name, text, attributes) {
  const described = [`${name}-error`];
  const error = h("p", { class: "field-error", id: described[0] });
  const input = h("input", {
    id: name,
    name,
    required: true,
    "aria-describedby": described[0],
    ...attributes,
  });
  const box = h("div", { class: "field-box" }, input);
  const top = h("div", { class: "field-top" }, h("label", { for: name }, text));
  input.addEventListener("input", () => fail(""));

  function fail(message) {
    error.textContent = message;
    if (message) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }

  function describe(id) {
    described.unshift(id);
    input.setAttribute("aria-describedby", described.join(" "));
  }

  const node = h("div", { class: "field" }, top, box, error);
  return { node, text, input, box, top, fail, describe };
}

/** @returns {() => void} hides the password again */
function addToggle({ input, box }) {
  const button = h("button", { class: "field-button", type: "button", "aria-controls": input.id });
  const show = (visible) => {
    input.type = visible ? "text" : "password";
    button.textContent = visible ? "Hide" : "Show";
    button.setAttribute("aria-label", visible ? "Hide password" : "Show password");
  };
  show(false);
  button.addEventListener("click", () => show(input.type === "password"));
  box.classList.add("with-button");
  box.append(button);
  return () => show(false);
}

function watchCapsLock({ input, top }) {
  const hint = h("span", { class: "field-hint", role: "status" });
  top.append(hint);
  const look = (event) => {
    // Password managers send key events that know nothing of modifiers.
    if (!(event instanceof KeyboardEvent)) return;
    hint.textContent = event.getModifierState("CapsLock") ? "Caps Lock is on" : "";
  };
  input.addEventListener("keydown", look);
  input.addEventListener("keyup", look);
  input.addEventListener("blur", () => (hint.textContent = ""));
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
