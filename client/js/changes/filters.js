/** Which changes one wants to see: chosen here, kept in the address. */

import { h } from "../dom.js";
import { choice, field } from "../fields.js";
import { TYPES } from "./words.js";

const TYPING_MS = 400;
const LONGEST_TABLE = 129;
const LONGEST_KEY = 512;
const TEXTS = {
  INSERT: "INSERT: added",
  UPDATE: "UPDATE: changed",
  DELETE: "DELETE: deleted",
  TRUNCATE: "TRUNCATE: emptied",
  DDL: "DDL: table altered",
  SNAPSHOT: "SNAPSHOT: from before",
  UNDECODABLE: "Not understood",
};

/**
 * @param {URLSearchParams} params
 * @param {(filters: Object<string, string>) => void} changed
 */
export function filterForm(params, changed) {
  const tables = h("datalist", { id: "tables" }, ...["users", "sessions"].map((value) => h("option", { value })));
  const plain = { required: false, autocomplete: "off", autocapitalize: "none", spellcheck: "false" };
  const fields = {
    table: field("table", "Table", { ...plain, type: "search", maxlength: LONGEST_TABLE, list: "tables" }, { value: read("table", LONGEST_TABLE) }),
    type: choice("type", "Type", [["", "All types"], ...TYPES.map((type) => [type, TEXTS[type]])], {
      value: TYPES.includes(params.get("type")) ? params.get("type") : "",
    }),
    key: field("key", "Key", { ...plain, type: "search", maxlength: LONGEST_KEY, placeholder: "such as 3" }, { value: read("key", LONGEST_KEY) }),
  };
  let typing = 0;
  let before = JSON.stringify(chosen());

  for (const { input } of [fields.table, fields.key]) {
    input.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(apply, TYPING_MS);
    });
  }
  fields.type.input.addEventListener("change", apply);

  const node = h(
    "form",
    { class: "change-filters", role: "search", "aria-label": "Filter", onsubmit: submit },
    ...Object.values(fields).map((each) => each.node),
    tables,
  );
  return { node, chosen, clear, fail, close: () => clearTimeout(typing) };

  function read(name, longest) {
    return (params.get(name) ?? "").trim().slice(0, longest);
  }

  function chosen() {
    return Object.fromEntries(Object.entries(fields).map(([name, each]) => [name, each.value()]));
  }

  function submit(event) {
    event.preventDefault();
    apply();
  }

  function apply() {
    clearTimeout(typing);
    const now = JSON.stringify(chosen());
    if (now === before) return;
    before = now;
    changed(chosen());
  }

  function clear() {
    for (const { input } of Object.values(fields)) input.value = "";
    fields.table.input.focus();
    apply();
  }

  /** @param {Object<string, string>} errors by field, what the API does not take */
  function fail(errors) {
    for (const [name, each] of Object.entries(fields)) each.fail(errors[name] ?? "");
  }
}
