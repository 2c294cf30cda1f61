/** The golden inputs of a bundle whose contract may be shown: pick one, see the reference answer beside the page's own. */

import { el, icon, readable } from "./element.js";
import { figure, nest } from "./figures.js";
import { drawn, layoutOf } from "./pixels.js";
import { readSafetensors } from "./safetensors.js";

const MOST = 12;
const HEAD = "contract/contract.json";
const TENSORS = "contract/cases.safetensors";
const NONE = { rows: [], rules: {}, licence: null };

/**
 * @typedef {import("./safetensors.js").Tensor} Tensor
 * @typedef {{place: number, inputs: Record<string, Tensor>, outputs: Record<string, Tensor>}} Row one golden row: a batch of one
 */

/** The golden rows that a page can offer, or an empty list where the bundle carries no contract. @param {any} artifact @param {(path: string) => Promise<ArrayBuffer>} read */
export async function goldenRows(artifact, read) {
  if (!artifact.files[HEAD] || !artifact.files[TENSORS]) return NONE;
  const head = JSON.parse(new TextDecoder().decode(await read(HEAD)));
  if (!head.shareable) return NONE;
  const cases = casesOf(head, readSafetensors(await read(TENSORS)));
  const seen = new Set();
  const rows = [];
  for (const one of cases.filter((held) => isWanted(held, seen))) rows.push(...rowsOf(one, artifact.signature, MOST - rows.length));
  return { rows: rows.map((row, place) => ({ ...row, place })), rules: head.rules, licence: head.licence ?? null };
}

/** @param {any} head @param {Map<string, Tensor>} tensors */
function casesOf(head, tensors) {
  const cases = head.cases.map((/** @type {any} */ held) => ({ ...held, in: {}, out: {} }));
  for (const [key, tensor] of tensors) {
    const [index, side, ...name] = key.split("/");
    if (side !== "firm") cases[Number(index)][side][name.join("/")] = tensor;
  }
  return cases;
}

/** Chosen rows, not those made to try a dimension; of a sequence the first step, which needs no memory. @param {any} held @param {Set<string>} seen */
function isWanted(held, seen) {
  if (held.why.some((/** @type {string} */ why) => why.startsWith("dims:"))) return false;
  if (!held.sequence) return true;
  return !seen.has(held.sequence) && Boolean(seen.add(held.sequence));
}

/** @param {any} held @param {any} signature @param {number} most @returns {Omit<Row, "place">[]} */
function rowsOf(held, signature, most) {
  const axes = Object.fromEntries([...signature.inputs, ...signature.outputs].map((spec) => [spec.name, spec.batch_axis]));
  const count = Math.min(held.why.length, Math.max(0, most));
  const part = (/** @type {Record<string, Tensor>} */ side, /** @type {number} */ row) =>
    Object.fromEntries(Object.entries(side).map(([name, tensor]) => [name, rowOf(tensor, axes[name] === undefined ? 0 : axes[name], row)]));
  return Array.from({ length: count }, (_, row) => ({ inputs: uncovered(part(held.in, row), signature), outputs: part(held.out, row) }));
}

/** Pictures of any size without the padding that a program wants. @param {Record<string, Tensor>} inputs @param {any} signature @returns {Record<string, Tensor>} */
function uncovered(inputs, signature) {
  const bare = { ...inputs };
  for (const { name, canvas } of signature.inputs) {
    const size = canvas && inputs[`${name}_size`];
    if (!size) continue;
    bare[name] = cropped(inputs[name], size.data[0], size.data[1]);
    delete bare[`${name}_size`];
  }
  return bare;
}

/** The upper left part of a picture (1, H, W[, channels]). @param {Tensor} tensor @param {number} height @param {number} width @returns {Tensor} */
function cropped({ dtype, shape: [, , across, ...rest], data }, height, width) {
  const pixel = rest[0] ?? 1;
  const made = new data.constructor(height * width * pixel);
  for (let row = 0; row < height; row += 1) made.set(data.subarray(row * across * pixel, (row * across + width) * pixel), row * width * pixel);
  return { dtype, shape: [1, height, width, ...rest], data: made };
}

/** One row of a tensor as a batch of one. @param {Tensor} tensor @param {number|null} axis @param {number} row @returns {Tensor} */
export function rowOf({ dtype, shape, data }, axis, row) {
  if (axis === null || shape.length === 0) return { dtype, shape, data };
  const inner = shape.slice(axis + 1).reduce((all, length) => all * length, 1);
  const outer = shape.slice(0, axis).reduce((all, length) => all * length, 1);
  const made = new data.constructor(outer * inner);
  for (let block = 0; block < outer; block += 1) {
    const start = (block * shape[axis] + row) * inner;
    made.set(data.subarray(start, start + inner), block * inner);
  }
  return { dtype, shape: shape.map((length, at) => (at === axis ? 1 : length)), data: made };
}

/** The row of buttons. @param {Row[]} rows @param {any} signature @param {(row: Row) => void} pick */
export function goldenPicker(rows, signature, pick) {
  const buttons = rows.map((row) => goldenButton(row, signature));
  const press = (/** @type {number|null} */ place) => buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(at === place)));
  buttons.forEach((button, place) => button.addEventListener("click", () => (press(place), pick(rows[place]))));
  const head = el("div.golden-head", {}, el("h2", {}, `Try one of ${rows.length} golden inputs`), el("p", {}, "their reference answers travel with the model"));
  const node = el("section.golden", { "aria-label": "Golden inputs" }, head, el("ol", {}, ...buttons.map((button) => el("li", {}, button))));
  return { node, press };
}

/** @param {Row} row @param {any} signature */
function goldenButton(row, signature) {
  const label = { type: "button", "aria-pressed": "false", "aria-label": `Golden input ${row.place + 1}` };
  for (const spec of signature.inputs) {
    const tensor = row.inputs[spec.name];
    const layout = tensor?.dtype === "u8" && layoutOf(tensor.shape.slice(1));
    if (layout) return el("button.thumb", label, drawn(tensor.data, layout));
  }
  return el("button.chip", label, String(row.place + 1));
}

/**
 * The page's own answer beside the reference.
 * @param {Row} row @param {Record<string, Tensor>} answer from `run` @param {any} signature @param {any} rules
 */
export function compared(row, answer, signature, rules) {
  const states = new Set(signature.state?.map((/** @type {any} */ pair) => pair.output));
  const lines = signature.outputs.filter((/** @type {any} */ spec) => row.outputs[spec.name] && !states.has(spec.name))
    .map((/** @type {any} */ spec) => ({ spec, ...difference(row.outputs[spec.name], answer[spec.name], rules[spec.name]) }));
  const equal = lines.every((/** @type {any} */ line) => line.equal);
  const title = equal ? "Equal to the reference answer" : "Differs from the reference answer";
  const rest = lines.map((/** @type {any} */ line) => el("tr", {}, el("th", { scope: "row" }, readable(line.spec.name)), el("td", {}, brief(line.spec, row.outputs[line.spec.name])), el("td", {}, line.text)));
  return el(`section.reference${equal ? "" : ".differs"}`, { "data-equal": String(equal) }, el("h3", {}, icon(equal ? "done" : "wrong"), title), el("table", {}, el("tbody", {}, ...rest)));
}

/** @param {Tensor} reference @param {Tensor} own @param {any} rule */
function difference(reference, own, rule) {
  if (reference.data.length !== own.data.length) return { equal: false, text: "another shape" };
  if (!/^f/.test(reference.dtype)) {
    const same = Array.from(reference.data).every((value, place) => Number(value) === Number(own.data[place]));
    return { equal: same, text: same ? "the same" : "not the same" };
  }
  const far = Array.from(reference.data).reduce((most, value, place) => Math.max(most, apart(Number(value), Number(own.data[place]))), 0);
  const limit = rule?.limits?.atol ?? (rule?.kind === "value" ? 1e-4 * (rule.scale ?? 1) : 1e-4);
  return { equal: far <= limit, text: far === 0 ? "the same" : `${far <= limit ? "within" : "off by"} ${figure(far, 2)}` };
}

/** @param {number} one @param {number} other */
function apart(one, other) {
  if (Object.is(one, other) || one === other || (Number.isNaN(one) && Number.isNaN(other))) return 0;
  return Number.isFinite(one - other) ? Math.abs(one - other) : Infinity;
}

/** A few words on a reference output. @param {any} spec @param {Tensor} tensor */
function brief(spec, { data }) {
  if (data.length > 1) return `${data.length} ${spec.kind === "score" ? "scores" : "values"}`;
  return spec.categories ? spec.categories[Number(data[0])] ?? "none" : figure(Number(data[0]));
}

/** The typed answer of `run` as `predict` gives it: nested arrays, codes as names. @param {Record<string, Tensor>} answer @param {any} signature */
export function named(answer, signature) {
  return Object.fromEntries(signature.outputs.map((/** @type {any} */ spec) => {
    const { data, shape } = answer[spec.name];
    const plain = Array.from(data, (value) => (typeof value === "bigint" ? Number(value) : value));
    const names = spec.categories && !/^f/.test(spec.dtype) ? plain.map((code) => spec.categories[Number(code)] ?? null) : plain;
    return [spec.name, nest(names, shape)];
  }));
}
