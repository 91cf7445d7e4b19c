/** One line of the record, as it stands in the list. */

import { copy } from "../copy.js";
import { h } from "../dom.js";
import {
  clock,
  headline,
  keyFilter,
  keyText,
  MOVED_BY_ITSELF,
  number,
  secretText,
  sentence,
  typeOf,
  valueNode,
} from "./words.js";

/** A sign for each type, beside its name. */
const SIGNS = { INSERT: "+", UPDATE: "~", DELETE: "−", TRUNCATE: "∅", DDL: "§", SNAPSHOT: "=", LOST: "!" };
const TYPE_TEXTS = { UNDECODABLE: "NOT READ", LOST: "GONE" };
/** From here on a lag is pointed out. */
const LATE_MS = 5_000;
let made = 0;

/**
 * @param {import("./ledger.js").Entry} entry
 * @param {{fresh?: boolean, opened: (line: HTMLElement, open: boolean) => void,
 *   say: (text: string, tone?: string) => void}} options
 * @returns {HTMLElement}
 */
export function lineNode({ line }, { fresh = false, opened, say }) {
  const type = typeOf(line);
  const id = `line-${(made += 1)}`;
  const { change, lost } = line;
  const told = sentence(line);
  const secret = change ? secretText(change) : "";
  const node = h(
    "li",
    { class: `change${fresh ? " fresh" : ""}`, "data-type": type },
    h(
      "div",
      { class: "change-when" },
      time(line),
      lag(line),
    ),
    h(
      "div",
      { class: "change-what" },
      h(
        "p",
        { class: "change-head" },
        h(
          "span",
          { class: "change-type" },
          h("span", { "aria-hidden": "true" }, SIGNS[type] ?? "?"),
          TYPE_TEXTS[type] ?? type,
        ),
        place(change),
      ),
      h("h2", { class: "change-title", id: `${id}-title` }, ...headline(line)),
      told && h("p", { class: "change-told" }, told),
      change?.sql != null ? h("pre", { class: "change-sql", tabindex: "0", "aria-label": "SQL" }, h("code", {}, change.sql)) : null,
      change && values(change),
      secret && h("p", { class: `change-secret${change.hiddenChange ? " hidden-change" : ""}` }, secret),
    ),
  );
  if (!lost) node.append(details(line, id, node, { opened, say }));
  return node;
}

function time({ change, timestamp, lost }) {
  if (lost) return null;
  const committed = change?.committedAt ? `Committed ${change.committedAt}. ` : "";
  const iso = change?.committedAt ?? timestamp;
  return h("time", { datetime: iso, title: `${committed}In Kafka ${timestamp}.` }, clock(iso));
}

function lag({ lagMs, change }) {
  if (!change) return null;
  if (lagMs == null) return h("span", { class: "change-lag", title: "The source does not tell when it was committed." }, "lag not told");
  const late = lagMs >= LATE_MS;
  const title = "From the commit to Kafka. A source that tells whole seconds makes it up to 1,000 ms too much.";
  return h("span", { class: `change-lag${late ? " late" : ""}`, title }, `${late ? "late: " : ""}${number(lagMs)} ms`);
}

/** The table, and the row, whose changes alone one may want to see. */
function place(change) {
  if (!change) return null;
  const query = new URLSearchParams({ table: change.table ?? "" });
  const table = change.table && h("a", { href: `#/changes?${query}`, title: "Show only this table" }, change.table);
  if (!change.key || Object.keys(change.key).length === 0) {
    return h("span", { class: "change-place" }, table, change.type === "DDL" || change.type === "TRUNCATE" ? null : " without a key");
  }
  query.set("key", keyFilter(change.key));
  const key = h("a", { href: `#/changes?${query}`, title: "Show only this row" }, h("bdi", {}, keyText(change.key)));
  return h("span", { class: "change-place" }, table, " ", key);
}

function values({ type, table, data, old, hiddenChange }) {
  // What a gap is about stands above, as a sentence.
  const { detail, ...others } = data ?? {};
  if (type !== "UPDATE") return row(table === "record_gaps" ? others : (data ?? {}));
  const columns = Object.keys(old ?? {});
  const told = columns.filter((column) => column !== MOVED_BY_ITSELF);
  const moved = columns.length > told.length && !hiddenChange;
  const parts = [];
  if (told.length > 0) parts.push(h("dl", { class: "diff" }, ...told.map((column) => pair(column, old, data))));
  if (moved) parts.push(h("p", { class: "change-aside" }, `${MOVED_BY_ITSELF} moved with it`));
  return parts.length > 0 ? h("div", { class: "change-values" }, ...parts) : null;
}

function pair(column, old, data) {
  const after = column in (data ?? {}) ? valueNode(data[column]) : h("span", { class: "no-value" }, "no longer there");
  return h(
    "div",
    {},
    h("dt", {}, column),
    h("dd", { class: "old" }, h("span", { class: "visually-hidden" }, "was "), h("del", {}, valueNode(old[column]))),
    h("dd", { class: "new" }, h("span", { class: "visually-hidden" }, "is now "), h("ins", {}, after)),
  );
}

function row(data) {
  const columns = Object.entries(data);
  if (columns.length === 0) return null;
  return h(
    "dl",
    { class: "row" },
    ...columns.map(([column, value]) => h("div", {}, h("dt", {}, column), h("dd", {}, valueNode(value)))),
  );
}

/** The button, and the JSON that it opens, made when it is first wanted. */
function details(line, id, node, { opened, say }) {
  const button = h(
    "button",
    { class: "button small change-more", type: "button", "aria-expanded": "false", "aria-describedby": `${id}-title` },
    "JSON",
  );
  let part = null;
  button.addEventListener("click", () => {
    part ??= json(line, say);
    const open = !part.isConnected;
    if (open) node.append(part);
    else part.remove();
    button.setAttribute("aria-expanded", String(open));
    opened(node, open);
  });
  return button;
}

function json(line, say) {
  const text = JSON.stringify(line, null, 2);
  const shown = h("pre", { tabindex: "0", role: "region", "aria-label": "The line as JSON" }, h("code", {}, text));
  const button = h("button", { class: "button small", type: "button" }, "Copy");
  button.addEventListener("click", async () => {
    if (await copy(text)) return say("Copied.");
    getSelection().selectAllChildren(shown);
    say("The browser does not let this page copy. The text is selected: press Ctrl+C, or ⌘C.", "caution");
  });
  return h("div", { class: "change-json" }, shown, button);
}
