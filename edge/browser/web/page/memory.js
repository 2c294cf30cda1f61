/** The memory of a stateful model: each answer's state goes into the next question, unseen. */

import { el } from "./element.js";

/** @param {any} signature @param {() => void} changed */
export function memory(signature, changed) {
  const pairs = signature.state ?? [];
  /** @type {Record<string, unknown>} */
  let held = {};
  let steps = 0;
  const label = el("span", { role: "status" });
  const say = () => (label.textContent = steps ? `remembers ${steps} ${steps === 1 ? "step" : "steps"}` : "starts with an empty memory");
  const keep = (/** @type {Record<string, unknown>} */ outputs) => {
    if (pairs.length === 0) return;
    held = Object.fromEntries(pairs.map((/** @type {any} */ pair) => [pair.input, outputs[pair.output]]));
    steps += 1;
    say();
  };
  const reset = () => {
    [held, steps] = [{}, 0];
    say();
  };
  const button = el("button.button", { type: "button", on: { click: () => (reset(), changed()) } }, "Reset memory");
  const node = pairs.length ? el("div.submit", {}, button, el("span.state", {}, "The model ", label)) : null;
  say();
  return { node, inputs: new Set(pairs.map((/** @type {any} */ pair) => pair.input)), outputs: new Set(pairs.map((/** @type {any} */ pair) => pair.output)), values: () => held, keep, reset };
}
