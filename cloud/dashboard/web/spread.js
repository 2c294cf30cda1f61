// How values lie: a distribution beside its reference, confidence beside what came true, and intervals in a table's cell.
import { figure, path, shape } from "./figures.js"
import { svg } from "./plots.js"
import { above, linear } from "./scale.js"
import * as text from "./text.js"

const LEFT = 46, RIGHT = 12, TOP = 10, HEIGHT = 220, BOTTOM = 26

/** Numbers: bins of both sides; the reference as steps, now as bars. */
export const histogram = ({ title, summary, bins, keep }) => {
  const both = bins.some(bin => bin.reference !== null) && bins.some(bin => bin.now !== null)
  const draw = width => {
    const x = linear(bins[0].low, bins.at(-1).high, LEFT, width - RIGHT)
    const y = linear(0, above(bins.flatMap(bin => [bin.now, bin.reference]).filter(value => value !== null), 0.001), HEIGHT - BOTTOM, TOP), parts = []
    for (const tick of y.ticks(4)) parts.push(shape("path", { d: `M${LEFT} ${y.at(tick).toFixed(1)}H${width - RIGHT}`, class: "grid" }),
      shape("text", { x: LEFT - 6, y: (y.at(tick) + 4).toFixed(1), "text-anchor": "end", class: "soft" }, text.share(tick)))
    for (const tick of x.ticks(width < 480 ? 4 : 8)) parts.push(shape("text", { x: x.at(tick).toFixed(1), y: HEIGHT - 8, "text-anchor": "middle", class: "soft" }, text.value(tick)))
    for (const bin of bins) if (bin.now) parts.push(shape("rect", { x: (x.at(bin.low) + 0.5).toFixed(1), width: Math.max(x.at(bin.high) - x.at(bin.low) - 1, 1).toFixed(1),
      y: y.at(bin.now).toFixed(1), height: (y.at(0) - y.at(bin.now)).toFixed(1), class: "bar" }))
    if (bins[0].reference !== null) parts.push(shape("path", { class: "past", d: path(bins.flatMap(bin => [[x.at(bin.low), y.at(bin.reference)], [x.at(bin.high), y.at(bin.reference)]])) }))
    const stops = bins.map((bin, place) => ({ x: (x.at(bin.low) + x.at(bin.high)) / 2, say: () => `${range(bins, place)}: now ${text.share(bin.now)}, reference ${text.share(bin.reference)}` }))
    return { svg: svg(width, HEIGHT, parts), stops, top: TOP, bottom: HEIGHT - BOTTOM }
  }
  return figure({ title, summary, draw, keep, keys: both ? [["now", "fill bar"], ["reference", "past"]] : [],
    table: { head: ["from", "to", "now", "reference"], rows: () => bins.map(bin => [text.value(bin.low), text.value(bin.high), text.share(bin.now), text.share(bin.reference)]) } })
}

const range = (bins, place) => place === 0 ? `up to ${text.value(bins[0].high)}` : place === bins.length - 1 ? `from ${text.value(bins[place].low)} on`
  : `${text.value(bins[place].low)} to ${text.value(bins[place].high)}`

/** Categories: a pair of bars each. */
export const categories = ({ title, summary, lines, keep }) => {
  const both = lines.some(line => line.reference !== null) && lines.some(line => line.now !== null), row = both ? 30 : 22
  const draw = width => {
    const left = Math.min(Math.max(...lines.map(line => line.name.length)) * 6.8 + 12, width * 0.42), height = lines.length * row + 8
    const x = linear(0, above(lines.flatMap(line => [line.now, line.reference]).filter(value => value !== null), 0.001), left, width - 56)
    const parts = lines.flatMap((line, place) => {
      const y = place * row + 4, letters = Math.floor((left - 12) / 6.8), name = line.name.length > letters ? `${line.name.slice(0, letters - 1)}…` : line.name
      const bars = [["bar", line.now], ["past-bar", line.reference]].filter(([, held]) => held !== null)
      return [shape("text", { x: left - 8, y: y + row / 2 + 1, "text-anchor": "end" }, name, shape("title", {}, line.name)),
        ...bars.map(([kind, held], n) => shape("rect", { x: left, y: y + n * 11, width: Math.max(x.at(held) - left, 0.5).toFixed(1), height: both ? 10 : 14, class: kind })),
        shape("text", { x: (x.at(Math.max(line.now ?? 0, line.reference ?? 0)) + 6).toFixed(1), y: y + row / 2 + 1, class: "soft" }, text.share(line.now ?? line.reference))]
    })
    return { svg: svg(width, height, parts) }
  }
  return figure({ title, summary, draw, keep, reads: false, keys: both ? [["now", "fill bar"], ["reference", "fill past-bar"]] : [],
    table: { head: ["value", "now", "reference"], rows: () => lines.map(line => [line.name, text.share(line.now), text.share(line.reference)]) } })
}

/** Confidence against how often answers were right: on the line, confidence means what it says. */
export const calibration = ({ title, summary, bins, keep }) => {
  const most = Math.max(...bins.map(bin => bin.weight))
  const draw = full => {
    const width = Math.min(full, 420), height = Math.min(width * 0.72, 260), parts = []
    const x = linear(0, 1, LEFT, width - RIGHT), y = linear(0, 1, height - BOTTOM, TOP)
    for (const tick of [0, 0.25, 0.5, 0.75, 1]) parts.push(shape("path", { d: `M${LEFT} ${y.at(tick).toFixed(1)}H${width - RIGHT}`, class: "grid" }),
      shape("text", { x: LEFT - 6, y: (y.at(tick) + 4).toFixed(1), "text-anchor": "end", class: "soft" }, `${tick * 100}%`),
      shape("text", { x: x.at(tick).toFixed(1), y: height - 8, "text-anchor": "middle", class: "soft" }, `${tick * 100}%`))
    parts.push(shape("path", { d: path([[x.at(0), y.at(0)], [x.at(1), y.at(1)]]), class: "ideal" }))
    for (const bin of bins) parts.push(shape("circle", { cx: x.at(bin.confidence).toFixed(1), cy: y.at(bin.accuracy).toFixed(1), r: (3 + 8 * Math.sqrt(bin.weight / most)).toFixed(1), class: "ball" }))
    const stops = bins.map(bin => ({ x: x.at(bin.confidence), say: () => `sure of ${text.share(bin.confidence)}: right in ${text.share(bin.accuracy)} of ${text.plural(bin.weight, "answer")}` }))
    return { svg: svg(width, height, parts), stops, top: TOP, bottom: height - BOTTOM }
  }
  return figure({ title, summary, draw, keep, table: { head: ["confidence", "right", "labelled answers"],
    rows: () => bins.map(bin => [text.share(bin.confidence), text.share(bin.accuracy), text.count(bin.weight)]) } })
}

/** A figure with its interval as a small picture, for a cell; the figures stand beside it in words. */
export const whisker = (held, low, high, { limit = null, kind = "" } = {}) => {
  const width = 130, x = linear(low, high, 4, width - 4), fits = value => Math.max(low, Math.min(high, value))
  const parts = [shape("path", { d: `M4 9H${width - 4}`, class: "grid" })]
  if (limit !== null) parts.push(shape("path", { d: `M${x.at(fits(limit)).toFixed(1)} 1V17`, class: "tolerated" }))
  if (held.value !== null && held.value !== undefined) parts.push(
    shape("path", { d: `M${x.at(fits(held.low ?? low)).toFixed(1)} 9H${x.at(fits(held.high ?? high)).toFixed(1)}`, class: `span ${kind}` }),
    shape("circle", { cx: x.at(fits(held.value)).toFixed(1), cy: 9, r: 4, class: `spot ${kind}` }))
  return shape("svg", { viewBox: `0 0 ${width} 18`, width, height: 18, class: "whiskers", "aria-hidden": "true" }, parts)
}
