/** A text: a text area with characters and tokens counted, and sentences to begin with. */

import { el, fresh } from "../element.js";
import { card } from "./card.js";

const EXAMPLES = [
  "The ferry leaves the harbour at nine in the morning.",
  "A boat departs from the port early in the day.",
  "Stock prices fell sharply after the announcement.",
];

/** @param {import("./card.js").Description} field @param {() => void} changed @returns {import("./card.js").Field} */
export function textField(field, changed) {
  const id = fresh("text");
  const { node, add, fail } = card(field, "", { label: id });
  const area = el("textarea.control", { id, rows: 5, spellcheck: "true", placeholder: "Type or paste a text" });
  const count = counter(field);
  const set = (/** @type {string} */ text) => {
    area.value = text;
    count.update(text);
    changed();
  };
  area.addEventListener("input", () => {
    count.update(area.value);
    changed();
  });
  add(area, el("div.under", {}, count.node), el("div.chips", { class: "chips actions", role: "group", "aria-label": "Examples" }, ...EXAMPLES.map((text) => chip(text, set))));
  return {
    name: field.name, node, fail,
    fill: async ({ data }) => {
      const text = await field.readBack?.(data);
      area.value = text ?? "";
      count.update(area.value);
    },
    read: () => (area.value === "" ? { ready: false, why: "Type a text, or pick an example." } : { ready: true, value: [area.value] }),
    summary: () => area.value,
  };
}

/** @param {string} text @param {(text: string) => void} set */
function chip(text, set) {
  return el("button.chip", { type: "button", on: { click: () => set(text) } }, text);
}

/** Characters at once, tokens when typing pauses. @param {import("./card.js").Description} field */
function counter(field) {
  const node = el("span", {}, "0 characters");
  let timer = 0;
  const write = (/** @type {string} */ text, /** @type {string} */ more) => {
    const size = [...text].length;
    node.textContent = `${size.toLocaleString("en")} ${size === 1 ? "character" : "characters"}${more}`;
  };
  const update = (/** @type {string} */ text) => {
    write(text, "");
    clearTimeout(timer);
    if (field.count && text) timer = setTimeout(() => tokens(text), 200);
  };
  const tokens = async (/** @type {string} */ text) => {
    const found = await field.count?.(text).catch(() => null);
    if (!found) return;
    const cut = found.tokens >= found.most ? `; cut at ${found.most}` : "";
    write(text, ` · ${found.tokens.toLocaleString("en")} tokens${cut}`);
  };
  return { node, update };
}
