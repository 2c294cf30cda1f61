/** Yes or no. */

import { el, fresh } from "../element.js";
import { card } from "./card.js";

/** @param {import("./card.js").Description} field @param {() => void} changed @returns {import("./card.js").Field} */
export function switchField(field, changed) {
  const id = fresh("switch");
  const { node, add, fail } = card(field, "", { small: true, label: id });
  const box = el("input", { type: "checkbox", role: "switch", id, checked: field.spec?.default === true });
  const word = el("span", { "aria-hidden": "true" }, "No");
  const say = () => (word.textContent = box.checked ? "Yes" : "No");
  say();
  box.addEventListener("change", () => {
    say();
    changed();
  });
  add(el("span.tick", {}, box, word));
  return {
    name: field.name, node, fail,
    fill: ({ data }) => {
      box.checked = Boolean(data[0]);
      say();
    },
    read: () => ({ ready: true, value: field.spec?.batch_axis === null ? box.checked : [box.checked] }),
    summary: () => (box.checked ? "yes" : "no"),
  };
}
