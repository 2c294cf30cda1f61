// The evidence of an alert: its plot as the monitor kept it, and whatever else it says, as facts. An unknown plot is shown as data.
import { element } from "./api.js"
import { table } from "./figures.js"
import { facts, note } from "./parts.js"
import { calibration, categories, histogram } from "./spread.js"
import * as text from "./text.js"

const PLOTS = {
  histogram: plot => histogram({ title: "As it was judged: now beside the reference", summary: "see the table", keep: "evidence",
    bins: plot.reference.map((reference, place) => ({ low: plot.edges[place], high: plot.edges[place + 1], reference, now: plot.current[place] })) }),
  bars: plot => categories({ title: "As it was judged: now beside the reference", summary: "see the table", keep: "evidence",
    lines: plot.names.map((name, place) => ({ name, reference: plot.reference[place], now: plot.current[place] })) }),
  reliability: plot => calibration({ title: "As it was judged: how sure, and how often right", summary: "on the broken line confidence means what it says", keep: "evidence",
    bins: plot.bins.filter(([, , weight]) => weight > 0).map(([sure, hits, weight]) => ({ confidence: sure / weight, accuracy: hits / weight, weight })) }),
  confusion: plot => {
    const names = [...new Set([...Object.keys(plot.confusion), ...Object.values(plot.confusion).flatMap(Object.keys)])].sort()
    return table("Rows are what was right, columns what was answered", ["right ↓ answered →", ...names], names.map(label => [label, ...names.map(answer => text.count(plot.confusion[label]?.[answer] ?? 0))]),
      { numbers: names.map((_, place) => place + 1), hidden: false })
  },
  burn: plot => note(`It is about the objective “${plot.objective}”: the share of bad answers in a long and a short window.`),
}

/** Everything that an alert keeps beside the ids of records. */
export const evidence = held => {
  const { plot, confusion, ...rest } = held
  const drawn = plot && plot.kind in PLOTS ? attempted(plot) : null
  const simple = Object.entries(rest).filter(([, value]) => value === null || typeof value !== "object"), other = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== null && typeof value === "object"))
  if (plot && !drawn) other.plot = plot
  return [drawn, facts(simple.map(([name, value]) => [name.replaceAll("_", " "), text.kept(value, 200)])),
    Object.keys(other).length ? element("details", { "data-keep": "evidence data" }, element("summary", {}, "As data"), element("pre", { tabindex: "0" }, JSON.stringify(other, null, 1))) : null]
}

/** A hook of somebody's may say anything: what cannot be drawn is shown as data. */
const attempted = plot => { try { return PLOTS[plot.kind](plot) } catch { return null } }
