/** BERT's tokenizer: clean, split at spaces, punctuation and CJK, then the longest known pieces. Specified in docs/codec.md. */

import { checkedOptions, fileOf, malformed, textOf } from "./step.js";
import { checkShapeOptions, encoded, isWhite, splitter, texts, tokenized } from "./tokens.js";
import { CONTROL, MARKS, PUNCTUATION, codePoints } from "./unicode_classes.js";

const OPTIONS = ["lowercase", "strip_accents", "split_cjk", "max_length", "padding", "outputs", "unknown", "before", "after", "pad", "specials", "max_word"];
const CJK = [[0x4e00, 0x9fff], [0x3400, 0x4dbf], [0x20000, 0x2a6df], [0x2a700, 0x2b73f], [0x2b740, 0x2b81f], [0x2b920, 0x2ceaf], [0xf900, 0xfaff], [0x2f800, 0x2fa1f]];
const SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
const SYMBOL = /[!-/:-@[-`{-~]/;
const CACHED = 20_000;
const marks = codePoints(MARKS);
const punctuation = codePoints(PUNCTUATION);
const control = codePoints(CONTROL);

/** Text to `input_ids`, `attention_mask` and, where asked, `token_type_ids`: int32 (batch, sequence). */
export class WordPiece {
  /** @param {Record<string, any>} options @param {Record<string, Uint8Array>} files */
  constructor(options, files) {
    const held = checkedOptions("wordpiece", options, OPTIONS);
    this.lowercase = held.lowercase ?? true;
    this.strip = held.strip_accents ?? this.lowercase;
    this.maxLength = held.max_length ?? null;
    this.padding = held.padding ?? "longest";
    this.outputs = held.outputs ?? ["input_ids", "attention_mask"];
    this.before = held.before ?? ["[CLS]"];
    this.after = held.after ?? ["[SEP]"];
    this.maxWord = held.max_word ?? 100;
    this.ids = new Map(vocabularyOf(fileOf("wordpiece", files, "vocab")).map((token, id) => [token, id]));
    this.unknown = this.#special(held.unknown ?? "[UNK]");
    this.pad = this.#special(held.pad ?? "[PAD]");
    [...this.before, ...this.after].forEach((token) => this.#special(token));
    checkShapeOptions("wordpiece", this);
    this.splitter = splitter((held.specials ?? SPECIALS).filter((/** @type {string} */ token) => this.ids.has(token)));
    this.longest = Math.max(...Array.from(this.ids.keys(), (token) => token.length));
    this.cleaned = remembered((held.split_cjk ?? true) ? cleanSpaced : clean);
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

  /** @param {string} token */
  #special(token) {
    const id = this.ids.get(token);
    if (id === undefined) throw malformed("The vocabulary lacks a special token", { got: token });
    return id;
  }

  /** @param {string} part @returns {Generator<number[]>} */
  *#part(part) {
    for (const word of this.#words(part)) if (word) yield this.#remembered(word);
  }

  /** @param {string} text */
  #words(text) {
    let spaced = each(text, this.cleaned);
    if (this.strip) spaced = each(spaced.normalize("NFD"), unmarked);
    if (this.lowercase) spaced = each(spaced, lower);
    return each(spaced, spacedPunctuation).split(" ");
  }

  /** @param {string} word */
  #remembered(word) {
    const held = this.pieces.get(word);
    if (held) return held;
    const made = this.#word(word);
    if (this.pieces.size >= CACHED) this.pieces.clear();
    this.pieces.set(word, made);
    return made;
  }

  /** @param {string} word */
  #word(word) {
    const places = starts(word);
    if (places.length - 1 > this.maxWord) return [this.unknown];
    const ids = [];
    for (let start = 0; start < places.length - 1; ) {
      const [id, end] = this.#longest(word, places, start);
      if (id === undefined) return [this.unknown];
      ids.push(id);
      start = end;
    }
    return ids;
  }

  /** The longest token at a place, and where it ends. @param {string} word @param {number[]} places @param {number} start @returns {[number|undefined, number]} */
  #longest(word, places, start) {
    const prefix = start ? "##" : "";
    for (let end = places.length - 1; end > start; end -= 1) {
      if (prefix.length + places[end] - places[start] > this.longest) continue;
      const id = this.ids.get(prefix + word.slice(places[start], places[end]));
      if (id !== undefined) return [id, end];
    }
    return [undefined, start];
  }
}

/** Where the characters of a word start, and its length. @param {string} word */
function starts(word) {
  const places = [0];
  for (const char of word) places.push(places[places.length - 1] + char.length);
  return places;
}

/** @param {Uint8Array} data */
function vocabularyOf(data) {
  const lines = textOf("wordpiece", data).split("\n");
  const tokens = (lines.at(-1) ? lines : lines.slice(0, -1)).map((line) => line.replace(/\r$/, ""));
  if (tokens.some((token) => token.includes("\r"))) throw malformed("A token of a WordPiece vocabulary holds a line break");
  return tokens;
}

/** A text with every character replaced by itself. @param {string} text @param {(char: string) => string} change */
function each(text, change) {
  const made = [];
  for (const char of text) made.push(change(char));
  return made.join("");
}

/** @param {(char: string) => string} change */
function remembered(change) {
  /** @type {Map<string, string>} */
  const known = new Map();
  return (/** @type {string} */ char) => {
    let made = known.get(char);
    if (made === undefined) known.set(char, (made = change(char)));
    return made;
  };
}

const clean = (/** @type {string} */ char) => {
  if (char === "\t" || char === "\n" || char === "\r") return " ";
  const point = /** @type {number} */ (char.codePointAt(0));
  if (point === 0xfffd || control.has(point)) return "";
  return isWhite(char) ? " " : char;
};

const cleanSpaced = (/** @type {string} */ char) => {
  const point = /** @type {number} */ (char.codePointAt(0));
  return CJK.some(([low, high]) => low <= point && point <= high) ? ` ${char} ` : clean(char);
};

const unmarked = (/** @type {string} */ char) => (marks.has(/** @type {number} */ (char.codePointAt(0))) ? "" : char);

const lower = remembered((char) => char.toLowerCase());

const spacedPunctuation = remembered((char) => {
  if (isWhite(char)) return " ";
  const mark = char < "\x80" ? SYMBOL.test(char) : punctuation.has(/** @type {number} */ (char.codePointAt(0)));
  return mark ? ` ${char} ` : char;
});
