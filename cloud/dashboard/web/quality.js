// Is it right: accuracy with its interval and the labels behind it, calibration, confusion, slices.
import { element } from "./api.js"
import { table } from "./figures.js"
import { badge, empty, figureOf, link, note, section } from "./parts.js"
import * as places from "./places.js"
import { lines } from "./plots.js"
import { calibration, whisker } from "./spread.js"
import * as text from "./text.js"

const LABEL = `curl -H 'content-type: application/json' http://127.0.0.1:3000/v1/labels \\
  -d '{"record": "RECORD", "values": {"OUTPUT": "what was right"}, "author": "you"}'
portside label --help`
const write = held => held.measured ? text.value : text.share

/** The figure of an output in a few words; too few labels are said, not hidden. */
export const score = (held, enough) => {
  if (held.figure.value === null) return "Not enough data"
  const figure = `${write(held)(held.figure.value)} ${text.interval(held.figure.low, held.figure.high, write(held))}`
  return held.figure.rows < enough ? `${figure}: not enough data` : held.measured ? `off by ${figure}` : `${figure} right`
}

export const quality = (place, data) => {
  const { right } = data
  if (!right.outputs.length) return section("right", "Is it right?", empty("No labels yet.", "A label says what would have been right, minutes or months later. Send them, import a file, or review answers by hand; then accuracy, calibration and slices stand here.", LABEL),
    classes(data), slices(place, data))
  return section("right", "Is it right?", right.outputs.map(held => output(held, data)), classes(data), slices(place, data))
}

const output = (held, { span, right }) => {
  const words = held.measured ? "mean error" : "accuracy", few = held.figure.rows < right.enough
  return element("div", { class: "output" }, element("h3", {}, held.name),
    element("p", {}, element("strong", {}, score(held, right.enough)), ` from ${text.plural(held.labelled, "labelled row")} of ${text.count(right.rows)} (${text.share(held.coverage)}). `,
      few ? badge("not enough data", "soft") : ""),
    element("div", { class: "pair" },
      lines({ title: `${held.name}: ${words} with its 95% interval, by ${text.stepped(held.step_ms)}`, summary: `${score(held, right.enough)} over ${span.name}`, span: { ...span, step_ms: held.step_ms }, points: held.points.map(point => point.rows ? point : { t: point.t }),
        write: write(held), high: held.measured ? null : 1, band: { low: "low", high: "high" }, series: [{ key: "value", name: words, kind: "line" }], keep: `right ${held.name}` }),
      held.calibration ? calibration({ title: `${held.name}: how sure, and how often right (calibration error ${text.share(held.calibration.error)})`,
        summary: "on the broken line confidence means what it says", bins: held.calibration.bins, keep: `calibration ${held.name}` }) : note("Calibration needs an output that says how sure an answer is: confidence in [monitor].")),
    held.confusion && confusion(held))
}

const confusion = held => {
  const { classes: names, rows, more } = held.confusion, most = Math.max(...rows.flat(), 1)
  return element("details", { "data-keep": `confusion ${held.name}` }, element("summary", {}, `Confusion: ${text.plural(names.length, "class", "classes")}, rows are what was right${more ? `, ${more} rarer ones left out` : ""}`),
    table(`${held.name}: rows are what was right, columns what was answered`, ["right ↓ answered →", ...names], rows.map((row, place) => [names[place],
      ...row.map((weight, column) => element("span", { class: `cell c${weight ? Math.min(5, 1 + Math.floor(4.99 * weight / most)) : 0} ${place === column ? "hit" : "miss"}` }, weight ? text.count(weight) : ""))]),
    { numbers: names.map((_, place) => place + 1), kind: "confusion" }))
}

const classes = ({ right }) => Object.keys(right.classes).length ? element("details", { "data-keep": "classes" }, element("summary", {}, "What was answered"),
  Object.entries(right.classes).map(([name, lines]) => table(`${name}: what was answered`, [name, "rows", "share"], lines.map(line => [line.name, text.count(line.rows), text.share(line.share)]), { numbers: [1, 2] }))) : null

const slices = (place, { right }) => {
  if (!right.slices.length) return null
  const name = right.outputs.find(held => !held.measured)?.name ?? right.outputs[0]?.name
  const rank = part => part.quality[name]?.value ?? 2
  const sorted = [...right.slices].sort((one, other) => rank(one) - rank(other) || other.rows - one.rows)
  const measured = right.outputs.find(held => held.name === name)?.measured, form = measured ? text.value : text.share
  return element("div", {}, element("h3", {}, "Slices"), table("Slices, the worst first", ["slice", "rows", ...(name ? [`${name}: ${measured ? "mean error" : "accuracy"}`, "", "labelled"] : [])],
    sorted.map(part => {
      const held = part.quality[name], cells = [link(places.write(place, "slice", [part.name]), part.name), text.count(part.rows)]
      if (!name) return cells
      const few = !held || held.rows < right.enough
      return [...cells, [held ? figureOf(held, form) : text.NONE, few ? [" ", badge("not enough data", "soft")] : ""], measured || !held ? "" : whisker(held, 0, 1), text.count(held?.labelled ?? 0)]
    }), { numbers: [1, name ? 4 : 9] }))
}
