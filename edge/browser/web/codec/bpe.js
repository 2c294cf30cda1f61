/** GPT-2's byte-level byte-pair encoding: any text, no unknown token. Specified in docs/codec.md. */

import { checkedOptions, fileOf, malformed, textOf } from "./step.js";
import { WHITE, checkShapeOptions, encoded, isWhite, splitter, texts, tokenized } from "./tokens.js";
import { Queue } from "./queue.js";

const OPTIONS = ["max_length", "padding", "outputs", "prefix_space", "before", "after", "pad", "specials"];
const CHUNK = new RegExp(`'(?:re|ve|ll|s|t|m|d)| ?\\p{L}+| ?\\p{N}+| ?[^${WHITE}\\p{L}\\p{N}]+|[${WHITE}]+(?![^${WHITE}])|[${WHITE}]+`, "gu");
const CACHED = 20_000;
const CACHED_LENGTH = 64;
const PLACES = 2 ** 21; // more than the bytes of the longest text, so that rank * PLACES + place orders by rank, then place

/** The character that stands for each byte. */
const BYTES = byteCharacters();

/** Text to `input_ids`, `attention_mask` and, where asked, `token_type_ids`: int32 (batch, sequence). */
export class BPE {
  /** @param {Record<string, any>} options @param {Record<string, Uint8Array>} files */
  constructor(options, files) {
    const held = checkedOptions("bpe", options, OPTIONS);
    this.maxLength = held.max_length ?? null;
    this.padding = held.padding ?? "longest";
    this.outputs = held.outputs ?? ["input_ids", "attention_mask"];
    this.prefixSpace = held.prefix_space ?? false;
    this.before = held.before ?? [];
    this.after = held.after ?? [];
    this.ids = vocabularyOf(fileOf("bpe", files, "vocab"));
    this.merges = mergesOf(fileOf("bpe", files, "merges"));
    this.ranks = ranksOf(this.merges);
    const specials = held.specials ?? [];
    const pad = held.pad ?? null;
    const needed = [...this.before, ...this.after, ...specials, ...(pad === null ? [] : [pad]), ...BYTES, ...this.merges.map((pair) => pair.join(""))];
    const absent = needed.find((token) => !this.ids.has(token));
    if (absent !== undefined) throw malformed("The vocabulary lacks a special token, a byte or the result of a merge", { got: absent });
    checkShapeOptions("bpe", this);
    this.pad = pad === null ? 0 : /** @type {number} */ (this.ids.get(pad));
    this.splitter = splitter(specials);
    /** @type {Map<string, number[]>} */
    this.pieces = new Map();
  }

  wire = "text";
  missing = false;

  names() {
    return this.outputs;
  }

  /** @param {string} field @param {any} values */
  encode(field, values) {
    return encoded(this, this.ids, this.pad, texts(field, values));
  }

  /** Ids of one text without the special tokens around it; may stop after `limit` of them. @param {string} text @param {number} [limit] */
  tokenize(text, limit = Infinity) {
    return tokenized(text, this.splitter, this.ids, (part) => this.#part(part), limit);
  }

  /** @param {string} part @returns {Generator<number[]>} */
  *#part(part) {
    const led = this.prefixSpace && part && !isWhite(part[0]) ? ` ${part}` : part;
    for (const [chunk] of led.matchAll(CHUNK)) yield chunk.length <= CACHED_LENGTH ? this.#remembered(chunk) : this.#merged(chunk);
  }

  /** @param {string} chunk */
  #remembered(chunk) {
    const held = this.pieces.get(chunk);
    if (held) return held;
    const made = this.#merged(chunk);
    if (this.pieces.size >= CACHED) this.pieces.clear();
    this.pieces.set(chunk, made);
    return made;
  }

  /** @param {string} chunk @returns {number[]} */
  #merged(chunk) {
    const parts = Array.from(new TextEncoder().encode(chunk), (byte) => BYTES[byte]);
    return merged(parts, this.ranks, this.merges).map((part) => /** @type {number} */ (this.ids.get(part)));
  }
}

/**
 * Join the best-ranked neighbours, leftmost first, until no pair has a rank. n log n, because a caller chooses n.
 * @param {string[]} held the parts; one that was joined to its left neighbour becomes ""
 * @param {Map<string, Map<string, number>>} ranks @param {string[][]} merges
 */
function merged(held, ranks, merges) {
  const after = Int32Array.from(held, (_, place) => place + 1);
  const before = Int32Array.from(held, (_, place) => place - 1);
  const queue = new Queue();
  const offer = (/** @type {number} */ start, /** @type {number} */ end) => {
    const rank = start >= 0 && end < held.length ? ranks.get(held[start])?.get(held[end]) : undefined;
    if (rank !== undefined) queue.push(rank * PLACES + start);
  };
  for (let place = 0; place + 1 < held.length; place += 1) offer(place, place + 1);
  while (queue.size) {
    const key = queue.pop();
    const place = key % PLACES;
    const [left, right] = merges[Math.floor(key / PLACES)];
    const follower = after[place];
    if (held[place] !== left || follower >= held.length || held[follower] !== right) continue; // joined elsewhere since
    held[place] = left + right;
    held[follower] = "";
    after[place] = after[follower];
    if (after[place] < held.length) before[after[place]] = place;
    offer(before[place], place);
    offer(place, after[place]);
  }
  return held.filter((part) => part);
}

function byteCharacters() {
  let hidden = 256;
  const shown = (/** @type {number} */ byte) => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(shown(byte) ? byte : hidden++));
}

/** @param {Uint8Array} data @returns {Map<string, number>} */
function vocabularyOf(data) {
  let held;
  try {
    held = new Map(Object.entries(JSON.parse(textOf("bpe", data))));
  } catch (error) {
    throw malformed("A BPE step is malformed", { got: String(error) });
  }
  const whole = (/** @type {any} */ id) => Number.isInteger(id) && id >= 0 && id < 2 ** 31;
  if (!Array.from(held.values()).every(whole)) throw malformed("An id of a BPE vocabulary is not a whole number below 2**31");
  return held;
}

/** Pairs of a merges.txt; its first line may be "#version". @param {Uint8Array} data */
function mergesOf(data) {
  const lines = textOf("bpe", data).split("\n").filter((line) => line);
  const pairs = (lines[0]?.startsWith("#version") ? lines.slice(1) : lines).map((line) => line.split(" "));
  const wrong = pairs.find((pair) => pair.length !== 2);
  if (wrong) throw malformed("A line of merges.txt is not a pair", { got: wrong.join(" ").slice(0, 60) });
  return pairs;
}

/** Left -> right -> rank. @param {string[][]} merges */
function ranksOf(merges) {
  /** @type {Map<string, Map<string, number>>} */
  const ranks = new Map();
  merges.forEach(([left, right], rank) => {
    const held = ranks.get(left) ?? new Map();
    ranks.set(left, held.set(right, rank));
  });
  return ranks;
}
