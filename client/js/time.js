/** Times for people. English like the page, in the reader's own time zone, which is named. */

const ABSOLUTE = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  timeZoneName: "short",
});
const ZONE = new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" });
const EXACT = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "always" });
const UNITS = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** @param {string} iso RFC 3339 */
export function absolute(iso) {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? iso : ABSOLUTE.format(date);
}

/** @param {string} iso RFC 3339. To the second, with the zone */
export function exact(iso) {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? String(iso) : EXACT.format(date);
}

/** @returns {string} the reader's zone, such as `UTC` or `CET` */
export function zone(date = new Date()) {
  return ZONE.formatToParts(date).find(({ type }) => type === "timeZoneName").value;
}

/** Between two times, either of which may not be known. @returns {string} such as `from … to …` */
export function between(from, to) {
  if (!from) return to ? `up to ${exact(to)}` : "for a time that is not known";
  return to ? `from ${exact(from)} to ${exact(to)}` : `from ${exact(from)} on`;
}

/** @param {string} iso RFC 3339. Empty for what is no time. */
export function relative(iso, now = Date.now()) {
  const seconds = (Date.parse(iso) - now) / 1000;
  if (Number.isNaN(seconds)) return "";
  for (const [unit, length] of UNITS) {
    // Twelve hours less a second are twelve hours.
    const count = Math.trunc((seconds / length) * 1.001);
    if (count !== 0) return RELATIVE.format(count, unit);
  }
  return seconds > 0 ? "in less than a minute" : "just now";
}

/** @param {number} seconds */
export function duration(seconds) {
  const [count, unit] = seconds > 120 ? [Math.ceil(seconds / 60), "minute"] : [seconds, "second"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}
