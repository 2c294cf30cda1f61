/** The card around one field: its title, a hint, the control, and the place where an error of this field appears. */

import { el, fresh, icon, readable } from "../element.js";

/**
 * What the page knows of a field before it makes one.
 * @typedef {object} Description
 * @property {string} name wire field
 * @property {string} type "image", "text", "category", "number" or "tensor"
 * @property {boolean} missing null is a value
 * @property {string[]|null} categories
 * @property {string[]} inputs the typed inputs made from it
 * @property {any} spec the first of them, as the signature has it
 * @property {number[]|string[]} rowShape its shape without the batch axis
 * @property {any} step the codec step, or null
 * @property {boolean|null} bright pictures of this model have a bright ground, if known
 * @property {((text: string) => Promise<{tokens: number, most: number}>)|null} count tokens of a text
 * @property {((ids: ArrayLike<number>) => Promise<string|null>)|null} readBack the words behind token ids
 */

/**
 * What every kind of field does.
 * @typedef {object} Field
 * @property {string} name
 * @property {HTMLElement} node
 * @property {() => {ready: boolean, value?: unknown, why?: string}} read the wire value, a batch of one
 * @property {(typed: {data: ArrayLike<any>, shape: number[]}) => void} fill show a typed row
 * @property {(error: any) => void} fail show an error here, or clear it with null
 * @property {() => string} summary a few words on the value
 */

/**
 * @param {Description} field @param {string} hint @param {{small?: boolean, label?: string|null}} [options] `label`: id of the control that the title names
 */
export function card(field, hint, { small = false, label = null } = {}) {
  const title = label ? el("label.card-title", { for: label }, readable(field.name)) : el("h2.card-title", { id: fresh("title") }, readable(field.name));
  const fault = el("div.fault", { role: "alert", id: fresh("fault"), hidden: true });
  const head = el("div.card-head", {}, title, hint && el("span.card-hint", { title: field.name }, hint));
  const node = el(`section.panel.card${small ? ".small" : ""}`, { "data-field": field.name, "aria-labelledby": title.id || null }, head);
  const fail = (/** @type {any} */ error) => showFault(node, fault, error);
  const add = (/** @type {any[]} */ ...children) => node.append(...children, fault);
  return { node, head, add, fail };
}

/** @param {HTMLElement} node @param {HTMLElement} fault @param {any} error */
function showFault(node, fault, error) {
  node.classList.toggle("failed", Boolean(error));
  fault.hidden = !error;
  fault.replaceChildren(...(error ? explained(error) : []));
  for (const control of node.querySelectorAll(".control")) {
    if (error) control.setAttribute("aria-describedby", fault.id);
    else control.removeAttribute("aria-describedby");
    control.setAttribute("aria-invalid", String(Boolean(error)));
  }
}

/** An error in the order in which people ask: what, got and expected, what to do. @param {any} error @returns {Node[]} */
export function explained(error) {
  const parts = [error.got !== undefined && `got ${plain(error.got)}`, error.expected !== undefined && `expected ${plain(error.expected)}`];
  const detail = parts.filter(Boolean).join("; ");
  const what = sentence(error.what ?? error.message ?? String(error));
  return [el("b", {}, what), detail && el("span", {}, `${sentence(detail)} `), error.fix && el("span", {}, error.fix)].filter(Boolean);
}

/** @param {string} text */
function sentence(text) {
  const trimmed = text.trim().replace(/[.;]+$/, "");
  return `${trimmed.slice(0, 1).toUpperCase()}${trimmed.slice(1)}.`;
}

/** @param {unknown} value */
function plain(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text && text.length > 160 ? `${text.slice(0, 160)}…` : text;
}

/** An icon with words for a button. @param {Parameters<typeof icon>[0]} name @param {string} text @param {() => void} act @param {string} [kind] */
export function action(name, text, act, kind = "button.button") {
  return el(kind, { type: "button", on: { click: act } }, icon(name), text);
}
