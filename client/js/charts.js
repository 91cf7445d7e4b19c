/**
 * Small charts of the last hour, a bar a minute: SVG of our own, with a name, what it says in
 * words, and a table for whoever wants the numbers.
 */

import { h } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const MINUTES = 60;
const MINUTE_MS = 60_000;
/** In the units of the drawing: a bar with the gap after it, and the height. */
const STEP = 10;
const BAR = 8;
const HEIGHT = 100;
const CLOCK = new Intl.DateTimeFormat("en-GB", { timeStyle: "short" });
const NUMBER = new Intl.NumberFormat("en-GB");
let made = 0;

/**
 * @typedef {Object} Series
 * @property {string} name
 * @property {string} look the name of its class
 * @property {(minute: Object) => number|null} value of a minute; null: nothing is known
 */

/**
 * @param {Object} options
 * @param {string} options.title
 * @param {Series[]} options.series those of a minute stand on one another
 * @param {(value: number) => string} [options.format]
 * @param {HTMLElement} [options.legend] which colour is what, where there are several
 * @param {number[]} [options.lines] values to draw a line at; with them the scale is by powers of ten
 * @returns {{node: HTMLElement, update: (said: string, hour: Object[], at: string) => void}} update:
 *   what it shows in a sentence, the minutes in which something happened, and when that was true
 */
export function hourChart({ title, series, format = (value) => NUMBER.format(value), lines, legend }) {
  const id = `chart-${(made += 1)}`;
  const sentence = h("p", {});
  const area = h("div", { class: `chart-area${lines ? " with-lines" : ""}` });
  const rows = h("div", { class: "chart-rows" });
  const details = h("details", { class: "chart-table" }, h("summary", {}, "As a table"), rows);
  let minutes = [];
  // Sixty rows are made when somebody looks.
  details.addEventListener("toggle", fill);
  const node = h(
    "figure",
    { class: "chart" },
    h("figcaption", {}, h("h3", {}, title), sentence),
    area,
    legend,
    details,
  );
  return { node, update };

  function update(said, hour, at) {
    minutes = byMinute(hour, at);
    const totals = minutes.map(({ minute }) => (minute ? total(series, minute) : 0));
    const highest = Math.max(1, ...totals);
    // By powers of ten, the scale ends at the first line that nothing is above.
    const top = lines ? (lines.find((line, index) => index > 1 && line >= highest) ?? highest) : niceTop(highest);
    const scale = lines ? byPowers(lines[0], top) : (value) => value / top;
    const drawn = lines?.filter((line, index) => index > 0 && line < top) ?? [];
    sentence.textContent = said;
    area.replaceChildren(
      h("span", { class: "chart-top", "aria-hidden": "true" }, format(top)),
      h(
        "div",
        { class: "chart-draw" },
        drawing({ id, title, said, minutes, series, scale, format, lines: drawn }),
        ...drawn.map((line) => lineLabel(format(line), scale(line))),
      ),
      h("span", { class: "chart-from", "aria-hidden": "true" }, CLOCK.format(minutes[0].time)),
      h("span", { class: "chart-to", "aria-hidden": "true" }, CLOCK.format(minutes.at(-1).time)),
    );
    fill();
  }

  function fill() {
    rows.replaceChildren(...(details.open ? [table(title, minutes, series, format)] : []));
  }
}

function lineLabel(words, share) {
  const label = h("span", { "aria-hidden": "true" }, words);
  label.style.bottom = `${share * 100}%`;
  return label;
}

function drawing({ id, title, said, minutes, series, scale, format, lines }) {
  const draw = s("svg", {
    viewBox: `0 0 ${MINUTES * STEP} ${HEIGHT}`,
    preserveAspectRatio: "none",
    role: "img",
    "aria-labelledby": `${id}-title ${id}-said`,
  });
  draw.append(text("title", `${id}-title`, title), text("desc", `${id}-said`, said));
  for (const line of lines) {
    const y = HEIGHT * (1 - scale(line));
    draw.append(s("line", { class: "chart-line", x1: 0, x2: MINUTES * STEP, y1: y, y2: y }));
  }
  minutes.forEach(({ minute, time }, index) => {
    if (!minute || total(series, minute) === 0) return;
    const bar = s("g", {});
    const parts = series.map((each) => ({ ...each, amount: each.value(minute) ?? 0 })).filter(({ amount }) => amount > 0);
    bar.append(text("title", null, `${CLOCK.format(time)}: ${parts.map(({ name, amount }) => `${format(amount)} ${name}`).join(", ")}`));
    let below = 0;
    for (const { look, amount } of parts) {
      const from = below === 0 ? 0 : scale(below);
      // What is there is seen, however small.
      const height = Math.max(2, (scale(below + amount) - from) * HEIGHT);
      bar.append(s("rect", { class: look, x: index * STEP + 1, width: BAR, y: HEIGHT - from * HEIGHT - height, height }));
      below += amount;
    }
    draw.append(bar);
  });
  return draw;
}

function table(title, minutes, series, format) {
  const shown = minutes.filter(({ minute }) => minute && total(series, minute) > 0);
  if (shown.length === 0) return h("p", {}, "Nothing within the last hour.");
  const head = h("tr", {}, h("th", { scope: "col" }, "Minute"), ...series.map(({ name }) => h("th", { scope: "col" }, name)));
  const rows = shown.map(({ minute, time }) =>
    h("tr", {}, h("th", { scope: "row" }, CLOCK.format(time)), ...series.map(({ value }) => h("td", {}, told(value(minute), format)))),
  );
  return h("table", {}, h("caption", { class: "visually-hidden" }, title), h("thead", {}, head), h("tbody", {}, ...rows));
}

const told = (value, format) => (value == null ? "–" : format(value));

/** Each minute of the hour, with what happened in it, if anything did. */
function byMinute(hour, at) {
  const last = Math.floor(Date.parse(at) / MINUTE_MS);
  const known = new Map(hour.map((minute) => [Math.floor(Date.parse(minute.at) / MINUTE_MS), minute]));
  return Array.from({ length: MINUTES }, (_, index) => {
    const number = last - MINUTES + 1 + index;
    return { time: new Date(number * MINUTE_MS), minute: known.get(number) ?? null };
  });
}

/** Latencies are from milliseconds to minutes: each power of ten takes as much room. */
function byPowers(lowest, highest) {
  const whole = Math.log10(highest / lowest);
  return (value) => Math.max(0.02, Math.min(1, Math.log10(Math.max(value, lowest) / lowest) / whole));
}

/** @returns {number} 1, 2 or 5 times a power of ten, not below the value */
function niceTop(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 5, 10].find((each) => each * power >= value);
}

function total(series, minute) {
  return series.reduce((sum, { value }) => sum + (value(minute) ?? 0), 0);
}

function text(tag, id, words) {
  const element = s(tag, id ? { id } : {});
  element.textContent = words;
  return element;
}

function s(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}
