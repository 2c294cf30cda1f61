/** The form: one card for every wire field that is not memory, made from the signature and the codec. */

import { categoryField } from "./fields/category.js";
import { imageField, isPicture } from "./fields/image.js";
import { numberField } from "./fields/number.js";
import { switchField } from "./fields/switch.js";
import { tensorField } from "./fields/tensor.js";
import { textField } from "./fields/text.js";

/**
 * @typedef {import("./fields/card.js").Field} Field
 * @typedef {import("./fields/card.js").Description} Description
 */

/** @param {any} info @param {any} artifact @param {Set<string>} hidden @param {{bright: (name: string) => boolean|null, counter: (step: any) => Description["count"], reader: (step: any) => Description["readBack"]}} known */
export function describe(info, artifact, hidden, known) {
  const specs = new Map(info.signature.inputs.map((/** @type {any} */ spec) => [spec.name, spec]));
  const order = [...specs.keys()];
  const place = (/** @type {any} */ field) => Math.min(...field.inputs.map((/** @type {string} */ name) => order.indexOf(name)));
  const shown = info.fields.filter((/** @type {any} */ field) => !field.inputs.every((/** @type {string} */ name) => hidden.has(name)));
  const fields = shown.sort((/** @type {any} */ one, /** @type {any} */ other) => place(one) - place(other)); // as the signature has them
  return fields.map((/** @type {any} */ field) => {
    const spec = specs.get(field.inputs[0]);
    const step = artifact.codec.find((/** @type {any} */ one) => one.field === field.name) ?? null;
    return {
      name: field.name, type: field.type, missing: Boolean(field.missing), inputs: field.inputs, spec, step,
      categories: field.values ?? field.categories ?? spec?.categories ?? null, rowShape: rowShape(spec, step),
      bright: known.bright(field.inputs[0]), count: field.type === "text" ? known.counter(step) : null, readBack: field.type === "text" ? known.reader(step) : null,
    };
  });
}

/** @param {any} spec @param {any} step */
function rowShape(spec, step) {
  if (step?.kind === "image" && step.options.size) return step.options.size;
  return (spec?.shape ?? []).filter((/** @type {unknown} */ _, /** @type {number} */ axis) => axis !== spec.batch_axis);
}

/** @param {Description} field @param {() => void} changed @returns {Field} */
export function makeField(field, changed) {
  if (field.type === "image" || isPicture(field)) return imageField(field, changed);
  if (field.type === "text") return textField(field, changed);
  const scalar = field.rowShape.length === 0;
  if (scalar && field.categories) return categoryField(field, changed);
  if (scalar && field.spec?.dtype === "bool") return switchField(field, changed);
  if (scalar && (field.type === "number" || field.type === "tensor") && field.spec?.dtype !== "string") return numberField(field, changed);
  return tensorField(field, changed);
}

/** Small cards lie in pairs; one that is left over takes the row. @param {Field[]} fields */
export function arrange(fields) {
  let alone = null;
  for (const { node } of fields) {
    const small = node.classList.contains("small");
    if (alone && !small) alone.classList.add("wide");
    alone = small && !alone ? node : null;
  }
  alone?.classList.add("wide");
}

/** The fields of a golden row take its values, as far as a typed tensor says what was sent. @param {Field[]} fields @param {Description[]} described @param {Record<string, any>} inputs */
export function fillForm(fields, described, inputs) {
  described.forEach((field, place) => {
    const tensor = inputs[field.inputs[0]];
    if (!tensor) return;
    const axis = field.spec.batch_axis ?? null;
    const shape = tensor.shape.filter((/** @type {number} */ _, /** @type {number} */ at) => at !== axis);
    fields[place].fill({ data: tensor.data, shape });
  });
}

/** All wire values, and the fields that have none yet with what to do there. @param {Field[]} fields */
export function readForm(fields) {
  const read = fields.map((field) => ({ field, ...field.read() }));
  const missing = read.filter(({ ready }) => !ready).map(({ field, why }) => ({ field, why: why ?? "Fill in the form." }));
  return { missing, wire: Object.fromEntries(read.map(({ field, value }) => [field.name, value])) };
}
