/**
 * JSON read without losing a character of its numbers, and written in the canonical form that digests are taken over.
 *
 * Python's `1.0` and `1e-07` are other texts than JavaScript's `1` and `1e-7`; a digest covers the text. So a number is read as
 * an `Exact`, which keeps how it was written. `sdk/core/canonical.py` is the other side.
 */

import { PortsideError } from "./errors.js";

/** A number with its own spelling. */
export class Exact {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }
}

const TOKEN = /[\s]*(?:([{}[\]:,])|("(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")|(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?)|(true|false|null))/y;

/**
 * Parse, with numbers as `Exact`. A key that stands twice is refused: two readers would understand it differently.
 * @param {string} text @param {string} what how messages call it
 */
export function parseExact(text, what) {
  const tokens = new Tokens(text, what);
  const value = parseValue(tokens, tokens.next());
  tokens.end();
  return value;
}

/** The same value with plain numbers. @param {any} value @returns {any} */
export function plain(value) {
  if (value instanceof Exact) return Number(value.text);
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, held]) => [key, plain(held)]));
}

/** Canonical JSON: keys sorted by code point, no spaces, numbers as they were written. @param {any} value @returns {string} */
export function canonical(value) {
  if (value instanceof Exact) return value.text;
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return quoted(value);
  const keys = Object.keys(value).sort(byCodePoint);
  return `{${keys.map((key) => `${quoted(key)}:${canonical(value[key])}`).join(",")}}`;
}

/** As Python escapes: DEL is a character like others in both. @param {unknown} value */
function quoted(value) {
  return JSON.stringify(value);
}

/** @param {string} one @param {string} other */
function byCodePoint(one, other) {
  const [a, b] = [[...one], [...other]];
  for (let place = 0; place < Math.min(a.length, b.length); place += 1) {
    const step = /** @type {number} */ (a[place].codePointAt(0)) - /** @type {number} */ (b[place].codePointAt(0));
    if (step !== 0) return step;
  }
  return a.length - b.length;
}

class Tokens {
  constructor(text, what) {
    this.text = text;
    this.what = what;
    this.place = 0;
  }

  next() {
    TOKEN.lastIndex = this.place;
    const found = TOKEN.exec(this.text);
    if (found === null) throw this.wrong();
    this.place = TOKEN.lastIndex;
    return found;
  }

  end() {
    if (this.text.slice(this.place).trim() !== "") throw this.wrong();
  }

  wrong(why = `something else at character ${this.place}`) {
    return new PortsideError("FormatError", `${this.what} is not valid JSON`, { got: why, fix: "Copy the bundle again from where it came." });
  }
}

/** @param {Tokens} tokens @param {string[]} token @returns {any} */
function parseValue(tokens, [, mark, string, number, word]) {
  if (string !== undefined) return JSON.parse(string);
  if (number !== undefined) return new Exact(number);
  if (word !== undefined) return JSON.parse(word);
  if (mark === "{") return parseObject(tokens);
  if (mark === "[") return parseArray(tokens);
  throw tokens.wrong();
}

function parseObject(tokens) {
  const made = Object.create(null);
  let token = tokens.next();
  if (token[1] === "}") return made;
  for (;;) {
    if (token[2] === undefined) throw tokens.wrong();
    const key = JSON.parse(token[2]);
    if (key in made) throw tokens.wrong(`the key ${JSON.stringify(key)} twice`);
    if (tokens.next()[1] !== ":") throw tokens.wrong();
    made[key] = parseValue(tokens, tokens.next());
    const mark = tokens.next()[1];
    if (mark === "}") return made;
    if (mark !== ",") throw tokens.wrong();
    token = tokens.next();
  }
}

function parseArray(tokens) {
  const made = [];
  let token = tokens.next();
  if (token[1] === "]") return made;
  for (;;) {
    made.push(parseValue(tokens, token));
    const mark = tokens.next()[1];
    if (mark === "]") return made;
    if (mark !== ",") throw tokens.wrong();
    token = tokens.next();
  }
}
