import { h } from "../dom.js";
import { choice, field } from "../fields.js";
import { describe } from "../messages.js";
import { ago } from "../moments.js";
import { failureNote } from "../states.js";
import { badges, rememberList } from "../user-parts.js";

const PAGE = 25;
const TYPING_MS = 250;
const ROLES = [["", "Any role"], ["user", "Users"], ["admin", "Admins"]];
const STATUSES = [["", "Any status"], ["active", "Active"], ["disabled", "Disabled"]];

/** @param {import("../main.js").Context} context */
export async function users(context) {
  const { params, signal, first, me } = context;
  /** Where each page before this one began; the last one is where this one does. */
  let trail = (params.get("after") ?? "").split(".").filter((each) => /^\d+$/.test(each));
  const options = { type: "search", required: false, autocomplete: "off", spellcheck: "false", maxlength: 64 };
  const search = field("search", "Username or email has", options, { value: params.get("search") ?? "" });
  const role = choice("role", "Role", ROLES, { value: oneOf(ROLES, params.get("role")) });
  const status = choice("status", "Status", STATUSES, { value: oneOf(STATUSES, params.get("status")) });
  const heading = h("h1", { tabindex: "-1" }, "Users");
  const told = h("p", { class: "count", role: "status" });
  const place = h("div", { class: "rows" });
  const pager = h("nav", { class: "pager", "aria-label": "Pages of users" });
  let asked = 0;
  let typing = null;

  search.input.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(anew, TYPING_MS);
  });
  role.input.addEventListener("change", anew);
  status.input.addEventListener("change", anew);
  signal.addEventListener("abort", () => clearTimeout(typing));
  show(await load());

  return {
    title: "Users",
    focus: first ? null : heading,
    node: h(
      "section",
      { class: "page" },
      h("div", { class: "page-head" }, heading, h("a", { class: "button main", href: "#/users/new" }, "New user")),
      h(
        "form",
        { class: "filters", role: "search", onsubmit: submit },
        search.node,
        role.node,
        status.node,
      ),
      told,
      place,
      pager,
    ),
  };

  function submit(event) {
    event.preventDefault();
    clearTimeout(typing);
    anew();
  }

  function chosen() {
    return { search: search.value(), role: role.value(), status: status.value() };
  }

  function address(after) {
    const kept = Object.entries({ ...chosen(), after: after.join(".") }).filter(([, value]) => value);
    const query = new URLSearchParams(kept).toString();
    return `#/users${query && `?${query}`}`;
  }

  async function load() {
    const kept = Object.entries({ ...chosen(), after: trail.at(-1), limit: PAGE });
    return context.call("GET", `/users?${new URLSearchParams(kept.filter(([, value]) => value))}`);
  }

  /** What is asked for has changed: from the first page on. */
  async function anew() {
    trail = [];
    context.setParams(chosen());
    const mine = ++asked;
    place.setAttribute("aria-busy", "true");
    try {
      const page = await load();
      if (mine === asked) show(page);
    } catch (error) {
      if (signal.aborted || mine !== asked) return;
      told.textContent = "";
      pager.replaceChildren();
      place.replaceChildren(failureNote(describe(error), anew));
    } finally {
      if (mine === asked) place.removeAttribute("aria-busy");
    }
  }

  function show({ items, next }) {
    rememberList(address(trail));
    const any = Object.values(chosen()).some(Boolean);
    const count = items.length === 1 ? "1 user" : `${items.length} users`;
    const more = next !== null || trail.length > 0;
    told.textContent = items.length === 0 ? "" : `${count}${more ? ` on page ${trail.length + 1}` : ""}`;
    place.replaceChildren(items.length > 0 ? table(items, me) : empty(any));
    pager.replaceChildren(
      ...[
        trail.length > 0 && h("a", { class: "button", href: address(trail.slice(0, -1)) }, "Previous page"),
        next !== null && h("a", { class: "button", href: address([...trail, next]) }, "Next page"),
      ].filter(Boolean),
    );
  }

  function empty(any) {
    const clear = h("button", { class: "button", type: "button" }, "Show all users");
    clear.addEventListener("click", () => {
      for (const each of [search, role, status]) each.input.value = "";
      search.input.focus();
      anew();
    });
    return h(
      "div",
      { class: "empty" },
      h("p", {}, any ? "No user is like that." : "There is no user here."),
      any || trail.length > 0 ? clear : null,
    );
  }
}

function table(items, me) {
  const head = ["User", "Role and status", "Password changed", "Account since"];
  // The roles are said because on a phone the style makes blocks of rows and cells.
  return h(
    "table",
    { class: "accounts", role: "table", "aria-label": "Users" },
    h(
      "thead",
      { role: "rowgroup" },
      h("tr", { role: "row" }, ...head.map((text) => h("th", { role: "columnheader", scope: "col" }, text))),
    ),
    h("tbody", { role: "rowgroup" }, ...items.map((user) => row(user, me))),
  );
}

function row(user, me) {
  return h(
    "tr",
    { role: "row" },
    h(
      "td",
      { role: "cell" },
      h("a", { class: "account-link", href: `#/users/${user.id}` }, user.username),
      h("span", { class: "account-email" }, user.email),
    ),
    h("td", { role: "cell" }, badges(user, me)),
    h("td", { role: "cell", "data-name": "Password changed" }, ago(user.passwordChangedAt)),
    h("td", { role: "cell", "data-name": "Account since" }, ago(user.createdAt)),
  );
}

function oneOf(options, value) {
  return options.some(([each]) => each === value) ? value : "";
}
