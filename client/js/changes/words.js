/** What a line of the record says, in words. */

import { h } from "../dom.js";
import { between } from "../time.js";

export const TYPES = ["INSERT", "UPDATE", "DELETE", "TRUNCATE", "DDL", "SNAPSHOT", "UNDECODABLE"];
/** The column that the database itself moves with every UPDATE. */
export const MOVED_BY_ITSELF = "updated_at";
/** True of the first snapshot and of a later one alike. */
const FOUND =
  "Change capture read this row when it took a snapshot of the whole table. It was there before; since when, and by whose doing, is not told.";
const LONGEST = 200;
const NUMBER = new Intl.NumberFormat("en-GB");
const CLOCK = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const YEAR = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium" });
const MOMENT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/;

export const number = (value) => NUMBER.format(value);

/** @returns {string} `1 change`, `3 changes` */
export function count(amount, one, many = `${one}s`) {
  return `${number(amount)} ${amount === 1 ? one : many}`;
}

/** @returns {string} the time of day; with the day, where that is not today */
export function clock(iso, now = new Date()) {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return String(iso ?? "");
  const day = date.toDateString() === now.toDateString() ? "" : `${dayOf(date, now)}, `;
  return day + CLOCK.format(date);
}

function dayOf(date, now) {
  return (date.getFullYear() === now.getFullYear() ? DAY : YEAR).format(date);
}

/** @returns {string} the type of a line, as one filters by it */
export function typeOf({ change, lost }) {
  if (lost) return "LOST";
  return change?.type ?? "UNDECODABLE";
}

/**
 * What happened, as the title of a line.
 *
 * @returns {Array<string|Node>}
 */
export function headline({ change, lost, action }) {
  if (lost) return ["Records are gone"];
  if (!change) return [action === "undecodable" ? "A record that is not understood" : `A line “${action}”`];
  const known = KNOWN[change.table]?.(change);
  if (known) return known;
  const table = `${change.database ? `${change.database}.` : ""}${change.table}`;
  switch (change.type) {
    case "INSERT":
      return ["Row added to ", name(table)];
    case "UPDATE":
      return ["Row of ", name(table), " changed"];
    case "DELETE":
      return ["Row deleted from ", name(table)];
    case "SNAPSHOT":
      return ["Row of ", name(table), ", as a snapshot found it"];
    case "TRUNCATE":
      return ["Table ", name(table), " emptied"];
    case "DDL":
      return change.table ? ["Table ", name(table), ` ${doneBy(change.sql)}`] : ["The database was altered"];
    default:
      return [`${change.type} on `, name(table)];
  }
}

function doneBy(sql) {
  const [verb] = /^\s*[a-z]+/i.exec(sql ?? "") ?? [""];
  return { create: "made", drop: "dropped", rename: "renamed" }[verb.trim().toLowerCase()] ?? "altered";
}

const KNOWN = { users: ofAccount, sessions: ofSession, record_gaps: ofGap };

function ofAccount({ type, data = {}, old = {}, hiddenChange }) {
  const who = typeof data.username === "string" ? name(data.username) : null;
  if (!who) return null;
  if (type === "INSERT") return ["Account ", who, " made"];
  if (type === "DELETE") return ["Account ", who, " deleted"];
  if (type === "SNAPSHOT") return ["Account ", who, ", as a snapshot found it"];
  if (type !== "UPDATE") return null;
  if (hiddenChange) return ["A secret of ", who, " changed"];
  if ("password_changed_at" in old) return ["Password of ", who, " changed"];
  if ("password_rehashed_at" in old) return ["Password of ", who, " hashed anew at log-in"];
  if ("username" in old) return ["Account ", name(old.username), " renamed to ", who];
  const told = ["role", "email", "status"].filter((column) => column in old);
  if (told.length !== 1) return ["Account ", who, " changed"];
  if (told[0] === "status") return ["Account ", who, data.status === "active" ? " enabled" : " disabled"];
  return [told[0] === "role" ? "Role of " : "Email of ", who, " changed"];
}

function ofSession({ type, data = {}, old = {} }) {
  const whose = data.user_id == null ? "" : ` of user ${data.user_id}`;
  if (type === "INSERT") return [`Session${whose} began`];
  if (type === "DELETE") return [`Session${whose} removed`];
  if (type === "UPDATE" && "revoked_at" in old && data.revoked_at) return [`Session${whose} ended`];
  return null;
}

function ofGap({ type, data = {}, old = {} }) {
  if (type === "INSERT") return [`The record may be incomplete ${between(data.starts_at, data.ends_at)}`];
  if (type === "UPDATE" && "acknowledged_at" in old && data.acknowledged_by) {
    return ["Gap of the record acknowledged by ", name(data.acknowledged_by)];
  }
  return null;
}

/** A name that others chose: it may be written in any direction. */
function name(text) {
  return h("bdi", { class: "change-name" }, shortened(text));
}

/** @returns {string} `id 3`, or each column of a key with its value */
export function keyText(key) {
  return Object.entries(key ?? {})
    .map(([column, value]) => `${column} ${shortened(plain(value), 60)}`)
    .join(", ");
}

/** @returns {string} a key as the filter takes it */
export function keyFilter(key) {
  const values = Object.values(key);
  const text = plain(values[0]);
  return values.length === 1 && text !== "" && !text.startsWith("{") ? text : JSON.stringify(key);
}

/** What is never shown of a change; "" where nothing is kept back. */
export function secretText({ type, redacted = [], hiddenChange, old = {} }) {
  const names = redacted.join(", ");
  if (hiddenChange) {
    return names ? `A secret was changed (not shown): ${names}` : "Nothing that is shown was changed.";
  }
  if (!names) return "";
  if (type === "UPDATE" && "password_changed_at" in old) return `A secret was changed (not shown): ${names}`;
  return type === "DDL" || type === "TRUNCATE" ? "" : `Never shown: ${names}`;
}

/** What a line says in a sentence that is no row. */
export function sentence({ change, lost, reason, length, sha256 }) {
  if (lost) return lostText(lost);
  if (!change) {
    const size = length == null ? "" : ` It has ${number(length)} bytes.`;
    return `${reason ? `Why: ${reason}.` : "Its form is unknown."}${size} SHA-256 ${shortened(String(sha256), 16)}`;
  }
  if (change.type === "SNAPSHOT") return FOUND;
  if (change.table === "record_gaps" && typeof change.data?.detail === "string") return gapText(change);
  if (change.type === "TRUNCATE") return "All its rows were deleted at once.";
  if (change.keyOnly) return "The row was too large for a record: only its key is known.";
  return "";
}

function gapText({ type, data }) {
  const told = shortened(data.detail, 1024);
  return type === "UPDATE" ? `It was ${between(data.starts_at, data.ends_at)}. ${told}` : told;
}

function lostText({ partition, from, to }) {
  if (to === null) {
    return `The topic was made anew: what it had from record ${number(from)} of partition ${partition} on is no longer in Kafka. It may stand in the journal.`;
  }
  const which = from === to ? `record ${number(from)}` : `records ${number(from)} to ${number(to)}`;
  return `Kafka no longer keeps ${which} of partition ${partition}, from while this page could not ask. They may stand in the journal.`;
}

/** A value of a row, as a node; long ones are cut here and whole in the details. */
export function valueNode(value) {
  if (value === null || value === undefined) return h("span", { class: "no-value" }, "null");
  if (value === "") return h("span", { class: "no-value" }, "empty");
  if (value.truncated === true && "bytes" in value) {
    return h("span", { class: "no-value" }, `too long for the record: ${number(value.bytes)} bytes`);
  }
  if (typeof value === "string" && MOMENT.test(value)) {
    return h("time", { datetime: value, title: value }, precise(value));
  }
  return h("bdi", {}, shortened(plain(value)));
}

function precise(iso) {
  const milliseconds = /\.(\d{3})/.exec(iso)?.[1];
  const date = new Date(iso);
  return `${YEAR.format(date)}, ${CLOCK.format(date)}${milliseconds ? `.${milliseconds}` : ""}`;
}

function plain(value) {
  return typeof value === "string" ? value : JSON.stringify(value) ?? "";
}

function shortened(text, longest = LONGEST) {
  return text.length > longest ? `${text.slice(0, longest)}…` : text;
}
