/** The lines that this page has, newest first, each once. */

export const MOST = 10_000;
/** Characters of their texts, roughly: lines may be long. */
const MOST_WEIGHT = 16_000_000;

/**
 * @typedef {Object} Entry
 * @property {Object} line as the API gives it; `{lost}` where it says that records are gone
 * @property {string|null} [floor] the cursor for what is older than this entry, where one is known
 */

export class Ledger {
  /** @type {Entry[]} */
  entries = [];
  /** The cursor for what is older than all entries; null where there is nothing. */
  older = null;
  #seen = new Map();
  #weight = 0;

  clear() {
    this.entries = [];
    this.older = null;
    this.#seen.clear();
    this.#weight = 0;
  }

  get full() {
    return this.entries.length >= MOST || this.#weight >= MOST_WEIGHT;
  }

  /**
   * Put what is new on top.
   *
   * @param {Object[]} lines oldest first
   * @param {string|null} floor the cursor that they come after
   * @param {Object[]} [lost] what is gone between the cursor and the lines
   * @returns {number} how many were not known before
   */
  add(lines, floor, lost = []) {
    const gaps = lost.map((each) => ({ lost: each }));
    const fresh = this.#fresh([...gaps, ...lines]);
    if (fresh.length > 0) fresh[0].floor = floor;
    this.entries.unshift(...fresh.reverse());
    return fresh.length;
  }

  /**
   * Put older ones below.
   *
   * @param {Object[]} lines newest first
   * @param {string|null} older the cursor for what is older than they are
   */
  append(lines, older) {
    const fresh = this.#fresh(lines);
    if (fresh.length > 0) fresh.at(-1).floor = older;
    this.entries.push(...fresh);
    this.older = older;
  }

  /** Forget the oldest where they are too many; they can be asked for again. */
  trim() {
    while (this.full && this.entries.length > 1) {
      // Only where an entry knows what is older than itself, the list may end.
      do this.#forget(this.entries.pop());
      while (this.entries.length > 1 && this.entries.at(-1).floor === undefined);
      this.older = this.entries.at(-1).floor ?? null;
    }
  }

  #fresh(lines) {
    const fresh = [];
    for (const line of lines) {
      const name = nameOf(line);
      if (this.#seen.has(name)) continue;
      const weight = weigh(line);
      this.#seen.set(name, weight);
      this.#weight += weight;
      fresh.push({ line });
    }
    return fresh;
  }

  #forget({ line }) {
    const name = nameOf(line);
    this.#weight -= this.#seen.get(name) ?? 0;
    this.#seen.delete(name);
  }
}

/** The same `change.id` is the same change, also where change capture sent it twice. */
function nameOf({ change, source, lost, sha256 }) {
  if (lost) return `lost ${lost.partition} ${lost.from} ${lost.to}`;
  return change?.id ?? `${source?.partition}/${source?.offset}/${sha256}`;
}

function weigh({ change }) {
  let weight = 500 + (change?.sql?.length ?? 0);
  for (const row of [change?.data, change?.old]) {
    for (const value of Object.values(row ?? {})) weight += value?.length ?? 8;
  }
  return weight;
}
