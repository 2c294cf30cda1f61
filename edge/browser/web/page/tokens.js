/** Tokens of a text, counted by the model's own codec and read back as words; fetched when first asked for. */

import { Codec } from "../codec/codec.js";

/** @param {any} step @param {(path: string) => Promise<ArrayBuffer>} read */
export function tokenCounter(step, read) {
  if (!step) return null;
  /** @type {Promise<any>|null} */
  let codec = null;
  return async (/** @type {string} */ text) => {
    codec ??= Codec.fromSteps([step], async (/** @type {string} */ path) => new Uint8Array(await read(path)));
    const typed = await (await codec).encode({ [step.field]: [text] });
    const place = step.options.outputs.indexOf("attention_mask");
    const made = typed[step.produces[Math.max(place, 0)]];
    const tokens = place >= 0 ? made.data.reduce((/** @type {number} */ sum, /** @type {number} */ value) => sum + Number(value), 0) : made.shape[1];
    return { tokens, most: step.options.max_length };
  };
}

/**
 * The words behind token ids, for reading: pieces joined, special tokens left out; null where the kind of step does not say.
 * @param {any} step @param {(path: string) => Promise<ArrayBuffer>} read @param {ArrayLike<number>} ids
 */
export async function readBack(step, read, ids) {
  if (step?.kind !== "wordpiece") return null;
  const vocabulary = new TextDecoder().decode(await read(step.files.vocab)).split("\n");
  const pieces = Array.from(ids, (id) => vocabulary[Number(id)] ?? "").filter((piece) => !/^\[.*\]$/.test(piece));
  return pieces.join(" ").replaceAll(" ##", "").replace(/ ([.,;:!?)\]'’-])/g, "$1").replace(/([(['’-]) /g, "$1");
}
