// The sequence of one measure against its limit: an estimate with the band that holds it at every look, and the steps that it passed.
import { figure, path, shape } from "./figures.js"
import { svg } from "./plots.js"
import { apart, linear, moments, near, runs } from "./scale.js"
import * as text from "./text.js"

const LEFT = 54, RIGHT = 12, TOP = 22, BOTTOM = 24, HEIGHT = 200, NARROW = 480

/**
 * points: [{ t, phase, rows, estimate, low, high }], the oldest first; marks: [{ t, name }] where a step began.
 * limit: what the measure may be at most.
 */
export const sequence = ({ title, summary, points, limit, marks, keep, kind = "" }) => {
  const [low, high] = near(points, limit), fits = value => Math.max(low, Math.min(high, value)), start = points[0].t, end = Math.max(points.at(-1).t, start + 1)
  const draw = width => {
    const x = linear(start, end, LEFT, width - RIGHT), y = linear(low, high, HEIGHT - BOTTOM, TOP), parts = []
    const at = (point, key) => Number.isFinite(point[key]) ? [x.at(point.t), y.at(fits(point[key]))] : null
    for (const tick of y.ticks(4)) parts.push(shape("path", { d: `M${LEFT} ${y.at(tick).toFixed(1)}H${width - RIGHT}`, class: tick === 0 ? "grid zero" : "grid" }),
      shape("text", { x: LEFT - 6, y: (y.at(tick) + 4).toFixed(1), "text-anchor": "end", class: "soft" }, text.percent(tick)))
    for (const moment of moments(start, end, width < NARROW ? 4 : 7)) if (x.at(moment) > LEFT + 14 && x.at(moment) < width - RIGHT - 18) parts.push(
      shape("text", { x: x.at(moment).toFixed(1), y: HEIGHT - 6, "text-anchor": "middle", class: "soft" }, text.moment(moment, end - start)))
    parts.push(...stepped(marks.filter(mark => mark.t >= start && mark.t <= end), x, width))
    for (const run of runs(points)) {
      const held = run.filter(point => Number.isFinite(point.low) && Number.isFinite(point.high)), first = at(run[0], "estimate")
      if (held.length > 1) parts.push(shape("path", { class: "band", d: `${path(held.map(point => at(point, "high")))}L${path([...held].reverse().map(point => at(point, "low"))).slice(1)}Z` }))
      if (run.length > 1) parts.push(shape("path", { class: "line", d: path(run.map(point => at(point, "estimate"))) }))
      else if (first) parts.push(shape("circle", { cx: first[0].toFixed(1), cy: first[1].toFixed(1), r: 3, class: "line dot" }))
    }
    parts.push(shape("path", { d: `M${LEFT} ${y.at(limit).toFixed(1)}H${width - RIGHT}`, class: `limit ${kind}` }),
      shape("text", { x: width - RIGHT, y: (y.at(limit) - 5).toFixed(1), "text-anchor": "end", class: `limit-name ${kind}` }, `limit ${text.percent(limit)}`))
    return { svg: svg(width, HEIGHT, parts), stops: points.map(point => ({ x: x.at(point.t), say: () => said(point, end - start) })), top: TOP, bottom: HEIGHT - BOTTOM }
  }
  return figure({ title, summary, draw, keep, table: { head: ["time", "units", "estimate", "at least", "at most", "limit"],
    rows: () => points.map(point => [text.time(point.t), text.count(point.rows), text.percent(point.estimate), text.percent(point.low), text.percent(point.high), text.percent(limit)]) } })
}

const said = (point, span) => `${text.moment(point.t, span)}: ${text.percent(point.estimate)} ${text.interval(point.low, point.high, text.percent)} of ${text.plural(point.rows, "unit")}`

const stepped = (marks, x, width) => {
  const places = marks.map(mark => x.at(mark.t)), named = apart(places, width < NARROW ? 62 : 74)
  return marks.flatMap((mark, number) => [shape("path", { d: `M${places[number].toFixed(1)} ${TOP - 4}V${HEIGHT - BOTTOM}`, class: "step-line" }),
    named[number] && places[number] < width - RIGHT - 30 ? shape("text", { x: (places[number] + 4).toFixed(1), y: TOP - 8, class: "soft" }, mark.name) : null])
}
