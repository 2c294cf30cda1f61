/** What tokenizers share: special tokens inside text, truncation, padding, and the tensors that leave. */

import { brief, refusal } from "../refusal.js";
import { malformed, objectRows } from "./step.js";

const ROLES = ["input_ids", "attention_mask", "token_type_ids"];
const MAX_TEXT = 200_000;

/** Unicode's White_Space, for use inside a class of a pattern. (`\s` also takes U+FEFF, and lacks U+0085.) */
export const WHITE = "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const WHITE_CHARACTER = new RegExp(`[${WHITE}]`);

/** @param {string} char */
export function isWhite(char) {
  return WHITE_CHARACTER.test(char);
}

/** A batch of texts; lone surrogates become U+FFFD. @param {string} field @param {any} values @returns {string[]} */
export function texts(field, values) {
  const { shape, cells } = objectRows(values);
  if (shape.length !== 1) throw refusal("a batch of texts has one dimension", field, null, { got: `shape (${shape.join(", ")})` });
  cells.forEach((text, row) => checkText(field, text, row));
  return cells.map((text) => text.replace(/\p{Surrogate}/gu, "\ufffd"));
}

/** @param {string} field @param {any} text @param {number} row */
function checkText(field, text, row) {
  if (typeof text !== "string") throw refusal("this is not text", field, row, { got: brief(text) });
  if (text.length <= MAX_TEXT) return;
  let length = 0;
  for (const _ of text) length += 1;
  if (length > MAX_TEXT) throw refusal("this text is too long", field, row, { got: `${length} characters`, expected: `at most ${MAX_TEXT}` });
}

/** A pattern whose group is a special token: leftmost, then longest; null where there are none. @param {string[]} tokens */
export function splitter(tokens) {
  const ordered = [...new Set(tokens)].sort((a, b) => b.length - a.length);
  return ordered.length ? new RegExp(`(${ordered.map((token) => token.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join("|")})`) : null;
}

/**
 * Ids of a text: special tokens as they stand, what lies between them by `pieces`; may stop after `limit` ids.
 * @param {string} text @param {RegExp|null} split @param {Map<string, number>} ids
 * @param {(part: string) => Iterable<ArrayLike<number>>} pieces @param {number} limit @returns {number[]}
 */
export function tokenized(text, split, ids, pieces, limit) {
  /** @type {number[]} */
  const found = [];
  for (const [place, part] of (split ? text.split(split) : [text]).entries()) {
    for (const some of place % 2 ? [[/** @type {number} */ (ids.get(part))]] : pieces(part)) {
      for (let at = 0; at < some.length; at += 1) found.push(some[at]);
      if (found.length >= limit) return found;
    }
  }
  return found;
}

/**
 * A batch of texts between their special tokens: int32 (batch, sequence) per output.
 * @param {any} step @param {Map<string, number>} ids @param {number} padId @param {string[]} batch @returns {import("./step.js").Tensor[]}
 */
export function encoded(step, ids, padId, batch) {
  const before = step.before.map((/** @type {string} */ token) => ids.get(token));
  const after = step.after.map((/** @type {string} */ token) => ids.get(token));
  const room = step.maxLength === null ? Infinity : step.maxLength - before.length - after.length;
  const rows = batch.map((text) => before.concat(step.tokenize(text, room).slice(0, room), after));
  return assembled(rows, step.padding, padId, step.outputs);
}

/** @param {number[][]} rows @param {"longest"|number} padding @param {number} padId @param {string[]} outputs */
function assembled(rows, padding, padId, outputs) {
  const width = padding === "longest" ? rows.reduce((most, row) => Math.max(most, row.length), 1) : padding;
  const ids = new Int32Array(rows.length * width).fill(padId);
  const mask = new Int32Array(ids.length);
  rows.forEach((row, place) => {
    ids.set(row, place * width);
    mask.fill(1, place * width, place * width + row.length);
  });
  /** @type {Record<string, Int32Array>} */
  const made = { input_ids: ids, attention_mask: mask, token_type_ids: new Int32Array(ids.length) };
  return outputs.map((role) => ({ dtype: "i32", shape: [rows.length, width], data: made[role] }));
}

/** Refuse lengths that leave no room, and outputs that do not exist. @param {string} kind @param {any} step */
export function checkShapeOptions(kind, { maxLength, padding, before, after, outputs }) {
  const specials = before.length + after.length;
  if (maxLength !== null && !(Number.isInteger(maxLength) && maxLength > specials)) {
    throw malformed(`max_length of a ${kind} step leaves no room for text`, { got: maxLength, expected: `more than ${specials}` });
  }
  if (padding !== "longest" && !(Number.isInteger(padding) && maxLength !== null && padding >= maxLength)) {
    throw malformed(`Fixed padding of a ${kind} step needs a max_length that is not larger`, { got: `${maxLength}, ${padding}` });
  }
  if (!outputs.length || new Set(outputs).size !== outputs.length || !outputs.every((/** @type {string} */ role) => ROLES.includes(role))) {
    throw malformed(`A ${kind} step has unknown outputs`, { got: outputs.join(", "), expected: ROLES.join(", ") });
  }
}
