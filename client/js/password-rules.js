/** What makes a good password, as far as it can be seen here. The API decides the rest. */

const SHORTEST = 8;
const LONGEST_BYTES = 72;

/**
 * Each rule, and whether this password keeps it.
 *
 * @param {string} value
 * @param {{username: string, email: string}} account whose it is to be
 * @returns {{text: string, kept: boolean|null, fault: string}[]} kept: null for nothing typed yet
 */
export function judge(value, { username, email }) {
  const names = [username, email, email.split("@")[0]].map(fold).filter(Boolean);
  const characters = [...value].length;
  const rules = [
    [
      `At least ${SHORTEST} characters; a few words make a good one`,
      characters >= SHORTEST,
      `Use at least ${SHORTEST} characters; this has ${characters}.`,
    ],
    [
      `At most ${LONGEST_BYTES} bytes, which is ${LONGEST_BYTES} plain letters`,
      bytes(value) <= LONGEST_BYTES,
      `This is too long: ${bytes(value)} bytes, and ${LONGEST_BYTES} fit.`,
    ],
    [
      "Not the username, nor the email address",
      !names.includes(fold(value)),
      "Choose another one: the username or the email address is the first that is tried.",
    ],
  ];
  return rules.map(([text, kept, fault]) => ({ text, kept: value === "" ? null : kept, fault }));
}

/** @returns {string} the first fault, "" for none */
export function fault(value, account) {
  return judge(value, account).find(({ kept }) => kept === false)?.fault ?? "";
}

/** A password nobody guesses, in letters that are read out and typed without mistakes. */
export function makeUp() {
  const letters = "abcdefghijkmnpqrstuvwxyz23456789";
  const drawn = [...crypto.getRandomValues(new Uint8Array(20))].map((byte) => letters[byte % 32]);
  return [0, 5, 10, 15].map((at) => drawn.slice(at, at + 5).join("")).join("-");
}

function bytes(text) {
  return new TextEncoder().encode(text).length;
}

/** As the API compares it: upper and lower case, and white space around, make no other. */
function fold(text) {
  return text.normalize("NFKC").trim().toLowerCase();
}
