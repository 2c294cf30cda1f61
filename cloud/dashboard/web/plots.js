// The plots of the dashboard: lines with a band over time, stacked bars over time, two distributions, calibration. SVG, no library.
import { figure, path, shape } from "./figures.js"
import { above, linear, logarithmic, moments } from "./scale.js"
import * as text from "./text.js"

const LEFT = 52, RIGHT = 12, TOP = 10, BOTTOM = 24, HEIGHT = 190
const NARROW = 480

/** Axes of time: grid, labels, and the scales. */
const frame = (span, width, y, write) => {
  const x = linear(span.start_ms, span.end_ms, LEFT, width - RIGHT), parts = []
  for (const tick of y.ticks(4)) parts.push(shape("path", { d: `M${LEFT} ${y.at(tick).toFixed(1)}H${width - RIGHT}`, class: "grid" }),
    shape("text", { x: LEFT - 6, y: (y.at(tick) + 4).toFixed(1), "text-anchor": "end", class: "soft" }, write(tick)))
  for (const at of moments(span.start_ms, span.end_ms, width < NARROW ? 4 : 8)) {
    if (x.at(at) > LEFT + 14 && x.at(at) < width - RIGHT - 14) parts.push(shape("text", { x: x.at(at).toFixed(1), y: HEIGHT - 6, "text-anchor": "middle", class: "soft" },
      text.moment(at, span.end_ms - span.start_ms)))
  }
  return { x, parts }
}

/** What a bucket says, for the readout and the table. */
const when = (point, span) => `${text.moment(point.t, span.end_ms - span.start_ms)}`

/**
 * Lines over time. series: [{ key, name, kind }]; band: { low, high }; limit: { value, say }. Points without a value leave a gap;
 * the last step is not over, so its segment is broken.
 */
export const lines = ({ title, summary, span, points, series, band, write = text.value, log = false, limit = null, low = 0, high = null, least = 1, keep }) => {
  const values = points.flatMap(point => [...series.map(({ key }) => point[key]), band && point[band.high]]).filter(Number.isFinite)
  const middle = point => point.t + span.step_ms / 2
  const draw = width => {
    const positive = values.filter(value => value > 0), end = limit ? Math.max(limit.value, ...values) : Math.max(...values, 0)
    const y = log && positive.length ? logarithmic(Math.min(...positive, limit?.value ?? Infinity) / 1.3, end * 1.3, HEIGHT - BOTTOM, TOP)
      : linear(low, high ?? above([...values, limit?.value], least), HEIGHT - BOTTOM, TOP)
    const { x, parts } = frame(span, width, y, write)
    const place = (point, key) => Number.isFinite(point[key]) ? [x.at(middle(point)), y.at(point[key])] : null
    if (band) parts.push(...banded(points, band, place))
    for (const { key, kind } of series) {
      parts.push(shape("path", { d: path(points.slice(0, -1).map(point => place(point, key))), class: kind }),
        shape("path", { d: path(points.slice(-2).map(point => place(point, key))), class: `${kind} open` }))
      for (const [a, b, c] of points.map((point, n) => [points[n - 1], point, points[n + 1]])) // a point alone is a dot: no line shows it
        if (place(b, key) && !(a && place(a, key)) && !(c && place(c, key))) parts.push(shape("circle", { cx: place(b, key)[0], cy: place(b, key)[1], r: 2.5, class: `${kind} dot` }))
    }
    if (limit) parts.push(shape("path", { d: `M${LEFT} ${y.at(limit.value).toFixed(1)}H${width - RIGHT}`, class: "limit" }),
      shape("text", { x: LEFT + 6, y: (y.at(limit.value) - 5).toFixed(1), class: "limit-name" }, limit.say))
    const stops = points.map(point => ({ x: x.at(middle(point)), say: () => `${when(point, span)}: ${said(point, series, band, write)}` }))
    return { svg: svg(width, HEIGHT, parts), stops, top: TOP, bottom: HEIGHT - BOTTOM }
  }
  const columns = [...series, ...(band ? [{ key: band.low, name: "from" }, { key: band.high, name: "to" }] : [])]
  return figure({ title, summary, draw, keep, keys: series.map(({ name, kind }) => [name, kind]),
    table: { head: ["time", ...columns.map(({ name }) => name)], rows: () => points.map(point => [text.time(point.t), ...columns.map(({ key }) => write(point[key]))]) } })
}

const said = (point, series, band, write) => series.map(({ key, name }) => `${name} ${write(point[key])}`).join(", ")
  + (band && Number.isFinite(point[band.low]) ? ` ${text.interval(point[band.low], point[band.high], write)}` : "")

const banded = (points, band, place) => {
  const parts = []
  let run = []
  const flush = () => {
    if (run.length > 1) parts.push(shape("path", { class: "band", d: `${path(run.map(point => place(point, band.high)))}L${path(run.reverse().map(point => place(point, band.low))).slice(1)}Z` }))
    if (run.length === 1) parts.push(shape("path", { class: "whisker", d: path([place(run[0], band.low), place(run[0], band.high)]) }))
    run = []
  }
  for (const point of points) Number.isFinite(point[band.low]) && Number.isFinite(point[band.high]) ? run.push(point) : flush()
  flush()
  return parts
}

/** Bars over time, stacked. series: [{ name, kind, of(point) }]. */
export const stacked = ({ title, summary, span, points, series, write = text.count, high = null, keep }) => {
  const draw = width => {
    const totals = points.map(point => series.reduce((sum, { of }) => sum + (of(point) || 0), 0))
    const y = linear(0, high ?? above(totals), HEIGHT - BOTTOM, TOP), { x, parts } = frame(span, width, y, write)
    const room = x.at(span.start_ms + span.step_ms) - x.at(span.start_ms)
    points.forEach((point, place) => {
      let base = 0
      for (const { kind, of } of series) {
        const part = of(point) || 0
        if (part > 0) parts.push(shape("rect", { x: (x.at(point.t) + room * 0.08).toFixed(1), width: Math.max(room * 0.84, 1).toFixed(1), y: y.at(base + part).toFixed(1),
          height: Math.max(y.at(base) - y.at(base + part), 0.5).toFixed(1), class: place === points.length - 1 ? `${kind} open` : kind }))
        base += part
      }
    })
    const stops = points.map(point => ({ x: x.at(point.t + span.step_ms / 2), say: () => `${when(point, span)}: ${series.map(({ name, of }) => `${name} ${write(of(point) || 0)}`).join(", ")}` }))
    return { svg: svg(width, HEIGHT, parts), stops, top: TOP, bottom: HEIGHT - BOTTOM }
  }
  return figure({ title, summary, draw, keep, keys: series.map(({ name, kind }) => [name, `fill ${kind}`]),
    table: { head: ["time", ...series.map(({ name }) => name)], rows: () => points.map(point => [text.time(point.t), ...series.map(({ of }) => write(of(point) || 0))]) } })
}

/** A small line without axes, for the cards; the sentence beside it says the same. */
export const spark = values => {
  const shown = values.map(value => Number.isFinite(value) ? value : null), high = Math.max(...shown.filter(value => value !== null), 1e-9), width = 120, height = 30
  const low = Math.min(...shown.filter(value => value !== null), high) * 0.98
  const y = linear(Math.min(low, high * 0.9), high, height - 3, 3), step = width / Math.max(shown.length - 1, 1)
  return shape("svg", { viewBox: `0 0 ${width} ${height}`, class: "spark", "aria-hidden": "true", preserveAspectRatio: "none" },
    shape("path", { d: path(shown.map((value, place) => value === null ? null : [place * step, y.at(value)])), class: "line", "vector-effect": "non-scaling-stroke" }))
}

export const svg = (width, height, parts) => shape("svg", { viewBox: `0 0 ${width} ${height}`, width, height }, parts)
