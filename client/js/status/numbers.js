/** What happened within the last hour: the stream, requests, logins. */

import { count, number } from "../changes/words.js";
import { hourChart } from "../charts.js";
import { h } from "../dom.js";

const STREAM = {
  live: ["✓", "Live", "good"],
  behind: ["!", "Behind: newer changes are still to come", "caution"],
  cutOff: ["✕", "Cut off: Kafka does not answer", "danger"],
};
const CLASSES = [
  ["2xx", "answered", "good"],
  ["3xx", "led elsewhere", "plain"],
  ["4xx", "refused", "caution"],
  ["5xx", "failed", "danger"],
];
const OUTCOMES = [
  ["ok", "let in", "good"],
  ["invalid_credentials", "wrong name or password", "caution"],
  ["throttled", "too many tries", "record"],
  ["bad_request", "incomplete", "plain"],
  ["busy", "too many at once", "record"],
  ["account_busy", "account busy", "caution"],
  ["unavailable", "database away", "danger"],
  ["error", "failed", "danger-strong"],
];

export function numbers() {
  const now = h("dl", { class: "figures" });
  const latency = hourChart({
    title: "From commit to Kafka",
    format: milliseconds,
    lines: [10, 100, 1_000, 10_000, 100_000],
    series: [{ name: "95 of 100 changes within", look: "record", value: ({ p95Ms }) => p95Ms }],
  });
  const lag = hourChart({
    title: "Records that had still to be read",
    series: [{ name: "records at most", look: "caution", value: ({ lagRecords }) => lagRecords }],
  });
  const changes = hourChart({
    title: "Changes",
    series: [{ name: "changes", look: "good", value: (minute) => minute.changes }],
  });
  const requests = stacked("Requests to the API", "requests", CLASSES);
  const logins = stacked("Log-ins", "logins", OUTCOMES);
  const node = h(
    "div",
    { class: "status-numbers" },
    h(
      "section",
      { class: "panel", "aria-labelledby": "stream-title" },
      h("h2", { id: "stream-title" }, "The stream of changes"),
      now,
      h("div", { class: "charts" }, latency.node, lag.node, changes.node),
    ),
    h(
      "section",
      { class: "panel", "aria-labelledby": "hour-title" },
      h("h2", { id: "hour-title" }, "The last hour, of all API processes"),
      h("div", { class: "charts two" }, requests.node, logins.node),
    ),
  );
  return { node, show };

  function show({ at, stream, hour, requests: answered, logins: tried }) {
    now.replaceChildren(...figures(stream));
    const { changes: amount, p95Ms } = stream.latency;
    const none = "No change within the last hour.";
    latency.update(amount === 0 ? none : `95 of 100 changes were there within ${milliseconds(p95Ms)}.`, hour, at);
    const most = Math.max(0, ...hour.map(({ lagRecords }) => lagRecords ?? 0));
    lag.update(most === 0 ? "Never behind within the last hour." : `${count(most, "record")} at most.`, hour, at);
    changes.update(amount === 0 ? none : `${count(amount, "change")} within the last hour.`, hour, at);
    requests.show(answered, hour, at);
    logins.show(tried, hour, at);
  }
}

function figures({ state, lagRecords, silenceSeconds, latency }) {
  const [sign, said, tone] = STREAM[state] ?? STREAM.behind;
  const percentiles = [
    ["Half within", latency.p50Ms],
    ["95 of 100 within", latency.p95Ms],
    ["99 of 100 within", latency.p99Ms],
  ];
  return [
    figure("Now", h("span", { "data-tone": tone }, h("span", { "aria-hidden": "true" }, `${sign} `), said)),
    figure("Still to be read", count(lagRecords, "record")),
    figure("Last sign of life", silenceSeconds === null ? "none yet" : `${number(Math.round(silenceSeconds))} s ago`),
    ...percentiles.map(([name, value]) => figure(name, value === null ? "–" : milliseconds(value))),
  ];
}

const figure = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));

/** A chart by kind, and how many there were of each within the hour. */
function stacked(title, field, kinds) {
  const series = kinds.map(([kind, name, look]) => ({ name: label(kind, name), look, value: (minute) => minute[field]?.[kind] ?? 0 }));
  const totals = h("dl", { class: "totals" });
  const chart = hourChart({ title, series, legend: totals });
  return { node: chart.node, show };

  function show(counts, hour, at) {
    const all = Object.values(counts).reduce((sum, each) => sum + each, 0);
    const known = kinds.map(([kind]) => kind);
    // A kind that this page does not know is told by its own name.
    const others = Object.keys(counts).filter((kind) => !known.includes(kind));
    const rows = [...kinds, ...others.map((kind) => [kind, kind, "plain"])];
    chart.update(`${number(all)} within the last hour.`, hour, at);
    totals.replaceChildren(
      ...rows.map(([kind, name, look]) =>
        h(
          "div",
          {},
          h("dt", {}, h("span", { class: `swatch ${look}`, "aria-hidden": "true" }), label(kind, name)),
          h("dd", {}, number(counts[kind] ?? 0)),
        ),
      ),
    );
  }
}

/** A class of status is told with its number. */
function label(kind, name) {
  return /^\d/.test(kind) ? `${name} (${kind})` : name;
}

function milliseconds(value) {
  if (value >= 60_000) return `${number(Math.round(value / 60_000))} min`;
  return value >= 1_000 ? `${number(value / 1_000)} s` : `${number(value)} ms`;
}
