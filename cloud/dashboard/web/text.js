// Figures, times and words as people read them. Times are the viewer's; what the pointer rests on says UTC.
import { element } from "./api.js"

const grouped = new Intl.NumberFormat("en-GB")
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" })
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", hour12: false })
const exact = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false })

export const NONE = "–"
const absent = value => value === null || value === undefined || Number.isNaN(value)

export const count = value => absent(value) ? NONE : value < 1e6 ? grouped.format(Math.round(value)) : `${(value / 1e6).toPrecision(3)} M`
export const share = value => {
  if (absent(value)) return NONE
  const percent = value * 100
  if (percent > 0 && percent < 0.1) return "<0.1%"
  return percent > 99.9 && percent < 100 ? ">99.9%" : `${percent >= 99.95 || percent === 0 ? percent.toFixed(0) : percent.toFixed(1)}%`
}
/** A small difference of shares, with its sign where it is below 0: 0.0042 -> "0.42%". */
export const percent = value => {
  if (absent(value)) return NONE
  const size = Math.abs(value * 100), held = Number(size.toFixed(size === 0 || size >= 99.95 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 3))
  return `${value < 0 && held ? "−" : ""}${held}%`
}
export const ms = value => absent(value) ? NONE : value >= 10_000 ? `${(value / 1000).toFixed(0)} s` : value >= 1000 ? `${(value / 1000).toPrecision(2)} s`
  : value >= 100 ? `${value.toFixed(0)} ms` : value >= 1 ? `${value.toPrecision(2)} ms` : `${value.toPrecision(1)} ms`
export const value = held => {
  if (absent(held)) return NONE
  if (typeof held !== "number") return String(held)
  const size = Math.abs(held)
  if (held === 0 || (Number.isInteger(held) && size < 1e6)) return grouped.format(held)
  return size >= 1e6 || size < 1e-4 ? held.toExponential(2) : size >= 1000 ? grouped.format(Math.round(held)) : String(Number(held.toPrecision(3)))
}
export const interval = (low, high, write = value) => absent(low) && absent(high) ? "" : `[${write(low)}, ${write(high)}]`
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`

/** A moment as text: the hour within a day, the date beyond. */
export const moment = (at, span = 0) => span > 36 * 3.6e6 ? `${day.format(at)} ${clock.format(at)}` : clock.format(at)
export const precisely = at => `${day.format(at)} ${exact.format(at)}`
export const second = at => exact.format(at)
export const utc = at => new Date(at).toISOString().replace("T", " ").replace(/\.\d+Z/, " UTC")

/** A moment as an element: the viewer's time, UTC under the pointer. */
export const time = (at, write = precisely) => absent(at) ? NONE : element("time", { datetime: new Date(at).toISOString(), title: utc(at) }, write(at))

/** How long ago, in words. */
export const ago = past => {
  const seconds = Math.max(0, Math.round(past / 1000))
  if (seconds < 90) return plural(seconds, "second")
  if (seconds < 5400) return plural(Math.round(seconds / 60), "minute")
  return seconds < 172_800 ? plural(Math.round(seconds / 3600), "hour") : plural(Math.round(seconds / 86_400), "day")
}
export const stepped = length => length >= 86_400_000 ? "day" : length >= 3_600_000 ? (length === 3_600_000 ? "hour" : `${length / 3_600_000} hours`)
  : length === 60_000 ? "minute" : `${length / 60_000} minutes`

/** JSON as it was kept, shortened where it is long. */
export const kept = (held, most = 60) => {
  if (held && typeof held === "object" && !Array.isArray(held)) {
    if (held.redacted) return "(redacted)"
    if (held.sha256 !== undefined && held.shape) return `${held.dtype} ${held.shape.join(" × ")} (not kept)`
  }
  const text = typeof held === "string" ? held : Array.isArray(held) ? (held.length === 1 ? kept(held[0], most) : JSON.stringify(held)) : JSON.stringify(held ?? null)
  const written = typeof held === "number" ? value(held) : text === "null" ? NONE : text
  return written.length > most ? `${written.slice(0, most - 1)}…` : written
}
