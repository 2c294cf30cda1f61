// A figure: a drawing that fits its width, a line that reads out where the pointer or the arrow keys are, and the same as a table.
import { element } from "./api.js"

const SPACE = "http://www.w3.org/2000/svg"

/** An SVG element; texts stay texts. */
export const shape = (name, attributes = {}, ...children) => {
  const made = document.createElementNS(SPACE, name)
  for (const [key, value] of Object.entries(attributes)) if (value !== null && value !== undefined && value !== false) made.setAttribute(key, String(value))
  made.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false))
  return made
}

/** "M1 2L3 4" through points; null begins anew. */
export const path = points => {
  let text = "", pen = false
  for (const point of points) {
    if (point === null) { pen = false; continue }
    text += `${pen ? "L" : "M"}${point[0].toFixed(1)} ${point[1].toFixed(1)}`
    pen = true
  }
  return text
}

const redrawn = new ResizeObserver(entries => {
  for (const { target, contentRect } of entries) {
    if (!target.isConnected) { redrawn.unobserve(target); continue }
    const width = Math.round(contentRect.width)
    if (width > 40 && width !== target.drawnWidth && target.draw) { target.drawnWidth = width; target.draw(width) }
  }
})

/**
 * A figure.
 * title: what it shows. summary: one sentence for who cannot see it.
 * draw(width) -> { svg, stops: [{x, say}] }: `stops` are read out one by one.
 * table: { head, rows }, or null where a table stands beside it anyway. keep: name under which an opened table stays open.
 */
export const figure = ({ title, summary, draw, table = null, keys = [], keep, reads = true }) => {
  const place = element("div", { class: "plot" }), readout = element("p", { class: "readout soft", "aria-live": "polite" }, "\u00a0")
  let stops = [], chosen = -1, cursor = null
  const choose = number => {
    chosen = Math.max(0, Math.min(stops.length - 1, number))
    const stop = stops[chosen]
    if (!stop) return
    if (cursor) { cursor.setAttribute("x1", stop.x); cursor.setAttribute("x2", stop.x); cursor.removeAttribute("hidden") }
    readout.textContent = stop.say()
  }
  place.draw = width => {
    const drawn = draw(width)
    stops = drawn.stops || []
    const svg = drawn.svg
    svg.setAttribute("role", "img")
    svg.setAttribute("aria-label", `${title}. ${summary}`)
    if (stops.length) {
      svg.setAttribute("tabindex", "0")
      cursor = shape("line", { class: "cursor", y1: drawn.top ?? 0, y2: drawn.bottom ?? 0, hidden: "" })
      svg.append(cursor)
      svg.addEventListener("pointermove", event => {
        const x = event.clientX - svg.getBoundingClientRect().left
        choose(stops.reduce((best, stop, place) => Math.abs(stop.x - x) < Math.abs(stops[best].x - x) ? place : best, 0))
      })
      svg.addEventListener("pointerleave", () => { cursor.setAttribute("hidden", ""); readout.textContent = "\u00a0"; chosen = -1 })
      svg.addEventListener("keydown", event => {
        const move = { ArrowLeft: chosen < 0 ? stops.length - 1 : chosen - 1, ArrowRight: chosen < 0 ? 0 : chosen + 1, Home: 0, End: stops.length - 1 }[event.key]
        if (move !== undefined) { event.preventDefault(); choose(move) }
      })
    }
    place.replaceChildren(svg)
  }
  redrawn.observe(place)
  const legend = keys.length > 1 && element("p", { class: "keys" }, keys.map(([name, kind]) => element("span", { class: "key" }, mark(kind), name)))
  return element("figure", {}, element("figcaption", {}, title), legend, place, reads && readout, table && asTable(title, table, keep))
}

const mark = kind => shape("svg", { viewBox: "0 0 18 10", class: "keymark", "aria-hidden": "true" },
  kind.startsWith("fill ") ? shape("rect", { width: 18, height: 10, class: kind.slice(5) }) : shape("path", { d: "M0 5H18", class: kind }))

/** A table that scrolls where it is too wide; the region can be reached by keyboard. */
export const table = (caption, head, rows, { numbers = [], kind = "", hidden = true } = {}) => element("div", { class: "wide", tabindex: "0", role: "region", "aria-label": caption },
  element("table", { class: kind }, element("caption", { class: hidden ? "only-read" : "" }, caption),
    element("thead", {}, element("tr", {}, head.map((cell, place) => element("th", { scope: "col", class: numbers.includes(place) ? "right" : null }, cell)))),
    element("tbody", {}, rows.map(cells => element("tr", { class: cells.kind || null }, [...cells].map((cell, place) =>
      place === 0 ? element("th", { scope: "row" }, cell) : element("td", { class: numbers.includes(place) ? "right" : null }, cell)))))))

const asTable = (title, { head, rows, numbers }, keep) => {
  const made = element("details", { "data-keep": keep || title }, element("summary", {}, "As a table"))
  made.addEventListener("toggle", () => { if (made.open && made.children.length === 1) made.append(table(title, head, rows(), { numbers: numbers || head.map((_, place) => place).slice(1) })) })
  return made
}
