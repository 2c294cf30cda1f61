// Pieces that views share: sections, badges, what an empty place says, lines of alerts and records.
import { element } from "./api.js"
import { table } from "./figures.js"
import * as places from "./places.js"
import * as text from "./text.js"

export const section = (id, title, ...children) => element("section", { id, "aria-labelledby": `${id}-title` }, element("h2", { id: `${id}-title` }, title), children)
export const badge = (words, kind = "") => element("span", { class: `badge ${kind}` }, words)
export const link = (href, ...children) => element("a", { href }, children)
export const note = (...children) => element("p", { class: "soft note" }, children)

/** What a place says that has nothing to show yet: what would fill it, and how. */
export const empty = (what, how, command) => element("div", { class: "empty" }, element("p", {}, element("strong", {}, what)), how && element("p", { class: "soft" }, how),
  command && element("pre", { tabindex: "0" }, command))

const KINDS = { drift: "wait", stable: "", "not enough data": "soft" }
export const verdict = held => held ? badge({ drift: "drift", stable: "stable", "not enough data": "not enough data" }[held] || held, KINDS[held] ?? "") : badge("nothing to compare with", "soft")

export const STATES = { firing: "fires", pending: "pending", resolved: "resolved" }
export const alertKind = alert => alert.state !== "firing" ? "soft" : { critical: "bad", warning: "wait" }[alert.severity] || ""

const RANKS = ["critical", "warning", "info"]
export const bySeverity = alerts => [...alerts].sort((one, other) => RANKS.indexOf(one.severity) - RANKS.indexOf(other.severity) || other.since_ms - one.since_ms)

/** A list of alerts. */
export const alertLines = (place, alerts) => element("ul", { class: "alerts" }, alerts.map(alert => element("li", { class: alertKind(alert) },
  link(places.write(place, "alert", [alert.id]), element("strong", {}, alert.name), alert.subject ? ` · ${alert.subject}` : ""),
  " ", badge(`${alert.severity}, ${STATES[alert.state]}`, alertKind(alert)), alert.flapping && badge("comes and goes"),
  element("span", { class: "soft" }, " since ", text.time(alert.since_ms)), element("p", {}, alert.what))))

/** A table of records, each a link to its own page. */
export const recordTable = (place, records, caption = "Records") => table(caption, ["time", "answer", "who answered", "time taken", "about", "right?"], records.map(record => [
  link(places.write(place, "record", [record.id]), text.time(record.server_ms)),
  answer(record), element("span", {}, record.model ?? text.NONE, record.reason && record.reason !== "primary" ? element("span", { class: "soft" }, ` (${record.reason})`) : ""),
  element("span", { class: record.within_deadline === false ? "wait" : "" }, text.ms(record.time_ms), record.within_deadline === false ? " late" : ""),
  [record.entity ?? "", record.rows > 1 ? ` ${text.plural(record.rows, "row")}` : "", record.flags ? " " : "", record.flags ? badge(text.plural(record.flags, "flag")) : ""],
  record.wrong === true ? badge("wrong", "bad") : record.wrong === false ? badge("right", "good") : record.labelled ? badge("labelled") : element("span", { class: "soft" }, text.NONE),
]), { numbers: [3], kind: "records" })

const answer = record => element("span", { class: "break" }, Object.entries(record.outputs).slice(0, 3).map(([name, held], place) =>
  [place ? ", " : "", element("span", { class: "soft" }, `${name} `), text.kept(held, 40)]))

/** Facts in two columns. */
export const facts = pairs => element("dl", { class: "facts" }, pairs.filter(([, held]) => held !== null && held !== undefined && held !== "").map(([name, held]) =>
  element("div", {}, element("dt", {}, name), element("dd", {}, held))))

/** A figure with its interval, in words. */
export const figureOf = (held, write) => held && held.value !== null && held.value !== undefined
  ? [write(held.value), " ", element("span", { class: "soft" }, text.interval(held.low, held.high, write))] : text.NONE
