/** Each part of Helfy: up, down or unknown, in words and with a sign. */

import { h } from "../dom.js";
import { number } from "../changes/words.js";

const NAMES = {
  database: ["Database", "keeps accounts and sessions"],
  kafka: ["Kafka", "keeps the stream of changes"],
  capture: ["Change capture", "tells Kafka what the database committed"],
  consumer: ["Consumer", "writes the lines of the journal"],
  api: ["API", "answers this page"],
};
const STATES = { up: ["✓", "Up"], down: ["✕", "Down"], unknown: ["?", "Unknown"] };

/**
 * @param {Array<{name: string, instance: string|null, state: string}>} parts
 * @returns {{text: string, tone: string}}
 */
export function summary(parts) {
  const named = (state) => parts.filter((part) => part.state === state).map(nameOf);
  const down = named("down");
  const unknown = named("unknown");
  if (down.length > 0) return { text: `${list(down)} ${down.length === 1 ? "is" : "are"} down`, tone: "danger" };
  if (unknown.length > 0) return { text: `${list(unknown)}: state unknown`, tone: "caution" };
  return { text: "Everything is up", tone: "good" };
}

export function partsList(parts) {
  return h("ul", { class: "parts" }, ...parts.map(part));
}

function part({ name, instance, state, said }) {
  const [title, role] = NAMES[name] ?? [name, ""];
  const [sign, word] = STATES[state] ?? STATES.unknown;
  return h(
    "li",
    { class: "part", "data-state": state },
    h("span", { class: "part-sign", "aria-hidden": "true" }, sign),
    h("div", { class: "part-name" }, h("strong", {}, title), instance ? h("code", {}, instance) : null, h("span", {}, role)),
    h("p", { class: "part-state" }, h("strong", {}, word), h("span", {}, `: ${sentence(said)}`)),
  );
}

/** The API tells exact numbers; people want to know whether they are large. */
function sentence(said) {
  return said.replace(/\d{4,}/g, (digits) => number(Number(digits)));
}

function nameOf({ name, instance }) {
  const [title] = NAMES[name] ?? [name];
  const said = title === "API" || title === "Kafka" ? title : title.toLowerCase();
  return instance ? `${said} ${instance}` : said === "Kafka" ? said : `the ${said}`;
}

function list(names) {
  const text = names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0];
  return text.charAt(0).toUpperCase() + text.slice(1);
}
