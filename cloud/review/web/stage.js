// What is looked at: pictures, sounds and texts large, everything else as a table row, field by field.
import { element, file } from "./api.js"
import { sounding } from "./sound.js"
import { zoomable } from "./zoom.js"

const SVG = "http://www.w3.org/2000/svg"
const LARGE = ["image", "audio", "text"]

/** The item as an element with `ready` (its files are there), `keys`, `toggle` and `close`. */
export const staged = item => {
  const large = item.fields.filter(field => LARGE.includes(field.kind) || alone(item, field))
  const rest = item.fields.filter(field => !large.includes(field))
  const parts = large.map(field => part(item, field))
  const box = element("div", { class: large.some(field => field.kind === "image") ? "staged fit" : "staged" }, parts, rest.length ? table(rest, large.length > 0) : null,
    item.fields.length ? null : element("p", { class: "soft" }, "Nothing of this request may be shown: its fields are redacted or were not kept."))
  const all = name => parts.map(one => one.querySelector("figure") ?? one).filter(one => one[name])
  box.ready = Promise.all(all("ready").map(one => one.ready.catch(error => one.replaceChildren(element("p", { class: "bad" }, `This file cannot be shown: ${error.message}`)))))
  box.keys = key => all("keys").some(one => one.keys(key))
  box.toggle = () => { const [first] = all("toggle"); first?.toggle(); return Boolean(first) }
  box.close = () => all("close").forEach(one => one.close())
  return box
}

/** What a screen reader is told of an item. */
export const described = item => {
  const said = item.fields.map(field => field.kind === "image" ? `picture ${field.name}` : field.kind === "audio" ? `sound ${field.name}`
    : field.kind === "text" ? `${field.name}: ${field.value.slice(0, 200)}` : `${field.name} ${plain(field)}`)
  return said.slice(0, 12).join(", ") + (said.length > 12 ? `, and ${said.length - 12} more fields` : "")
}

/** A short word that is the only thing to look at is a text. */
const alone = (item, field) => item.fields.length === 1 && ["word", "number"].includes(field.kind)

const part = (item, field) => {
  const title = element("h2", { class: "soft" }, field.name)
  if (field.kind === "image" || field.kind === "audio") {
    const content = file(`v1/reviews/${item.id}/files/${field.place}`)
    const shown = field.kind === "image" ? zoomable(content, field.name) : sounding(content, field.name)
    return element("div", { class: `part ${field.kind}` }, title, shown)
  }
  return element("div", { class: "part" }, title, element("p", { class: "text", tabindex: "0" }, String(field.value)))
}

const table = (fields, below) => element("div", { class: below ? "wide below" : "wide", tabindex: "0", role: "region", "aria-label": "Fields" },
  element("table", { class: "fields" }, element("tbody", {}, fields.map(field => element("tr", {},
    element("th", { scope: "row" }, field.name), element("td", {}, cell(field), field.unit ? element("span", { class: "soft" }, ` ${field.unit}`) : null))))))

const cell = field => {
  if (field.kind === "missing") return element("span", { class: "soft" }, "missing")
  if (field.kind !== "tensor") return element("span", { class: field.kind === "number" ? "number" : "break" }, plain(field))
  const values = Array.isArray(field.value) ? field.value : field.value?.first ?? []
  if (gridded(values)) return [drawn(field.name, values), element("details", {}, element("summary", { class: "soft" }, plain(field)), element("code", { class: "break" }, written(values)))]
  return [values.length > 7 && values.every(value => typeof value === "number") ? spark(values) : null, element("code", { class: "break" }, plain(field))]
}

const number = value => Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)))

const plain = field => {
  const { value } = field
  if (field.kind === "missing") return "missing"
  if (field.shape) return `${field.dtype} ${field.shape.join(" × ")}`
  if (typeof value === "number") return number(value)
  if (field.kind !== "tensor") return String(value)
  if (gridded(value)) return `${value.length} × ${value[0].length} numbers`
  if (value?.of) return `${value.first.map(one => typeof one === "number" ? number(one) : JSON.stringify(one)).join(", ")}, … (${value.of} in all)`
  return written(value)
}

const written = value => JSON.stringify(value, (_, one) => typeof one === "number" ? Number(number(one)) : one).replaceAll(",", ", ")

/** Rows of numbers as long as each other, enough of them that nobody reads them one by one. */
const gridded = rows => Array.isArray(rows) && rows.length > 7 && Array.isArray(rows[0]) && rows[0].length > 7
  && rows.every(row => row.length === rows[0].length && row.every(one => typeof one === "number"))

/** Such rows as a picture: bytes as they are, other numbers from black for the least to white for the largest. */
const drawn = (name, rows) => {
  const values = rows.flat(), bytes = values.every(one => Number.isInteger(one) && one >= 0 && one <= 255)
  const low = bytes ? 0 : Math.min(...values), high = bytes ? 255 : Math.max(...values)
  const canvas = element("canvas", { class: "grid", width: rows[0].length, height: rows.length, role: "img", "aria-label": `${name} as a picture` })
  const pixels = new ImageData(rows[0].length, rows.length)
  values.forEach((one, place) => pixels.data.set([...Array(3).fill(255 * (one - low) / (high - low || 1)), 255], 4 * place))
  canvas.getContext("2d").putImageData(pixels, 0, 0)
  return canvas
}

/** A line through a list of numbers. */
const spark = values => {
  const low = Math.min(...values), high = Math.max(...values), shape = document.createElementNS(SVG, "svg"), line = document.createElementNS(SVG, "polyline")
  shape.setAttribute("viewBox", "0 0 120 28")
  shape.setAttribute("class", "spark")
  shape.setAttribute("aria-hidden", "true")
  line.setAttribute("points", values.map((value, place) => `${(2 + 116 * place / (values.length - 1)).toFixed(1)},${(25 - 22 * (value - low) / (high - low || 1)).toFixed(1)}`).join(" "))
  shape.append(line)
  return shape
}
