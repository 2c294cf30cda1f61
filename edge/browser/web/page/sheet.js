/** Any answer as a table: rows of a matrix, or one row of a list; at most 200 rows are drawn. */

import { el } from "./element.js";
import { figure, flat } from "./figures.js";

const MOST = 200;

/** @param {unknown} row one row's value, nested to any depth @param {string} name */
export function sheet(row, name) {
  const { shape, values } = flat(row);
  if (shape.length === 0) return el("p.figure", {}, figure(row));
  const columns = shape.length === 1 ? 1 : shape[shape.length - 1];
  const rows = columns ? values.length / columns : 0;
  const cells = (/** @type {number} */ at) => values.slice(at * columns, (at + 1) * columns).map((value) => el("td", {}, figure(value)));
  const lines = Array.from({ length: Math.min(rows, MOST) }, (_, at) => el("tr", {}, el("th", { scope: "row" }, at), ...cells(at)));
  const cut = rows > MOST ? el("p.pairs", {}, `the first ${MOST} of ${rows} rows`) : null;
  return el("div", {}, el("div.sheet", { role: "region", tabindex: 0, "aria-label": name }, el("table", {}, el("tbody", {}, ...lines))), rows ? cut : el("p.pairs", {}, "nothing found"));
}
