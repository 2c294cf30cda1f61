/** One of several names: a list with the categories, and a line for a missing value where that is one. */

import { el, fresh } from "../element.js";
import { card } from "./card.js";

const MISSING = "missing";

/** @param {import("./card.js").Description} field @param {() => void} changed @returns {import("./card.js").Field} */
export function categoryField(field, changed) {
  const id = fresh("category");
  const names = field.categories ?? [];
  const { node, add, fail } = card(field, "", { small: true, label: id });
  const options = names.map((name, place) => el("option", { value: place }, name === "" ? "(empty)" : name));
  const list = el("select.control", { id, on: { change: changed } }, ...options, field.missing && el("option", { value: MISSING }, "— missing —"));
  const standard = names.indexOf(field.spec?.default);
  if (standard >= 0) list.value = String(standard);
  add(list);
  const chosen = () => (list.value === MISSING ? null : Number(list.value));
  return {
    name: field.name, node, fail,
    fill: ({ data }) => {
      const code = Number(data[0]);
      list.value = code >= 0 && code < names.length ? String(code) : field.missing ? MISSING : list.value;
    },
    read: () => {
      const code = chosen();
      if (field.type === "tensor") return { ready: true, value: [code ?? -1] }; // a typed input: codes, not names
      return { ready: true, value: [code === null ? null : names[code]] };
    },
    summary: () => (chosen() === null ? "missing" : names[/** @type {number} */ (chosen())]),
  };
}
