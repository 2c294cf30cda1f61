// One record: what came in, what was answered by whom and why, what was right, and what reviews and steps belong to it.
import { element } from "./api.js"
import { REASONS } from "./answers.js"
import { table } from "./figures.js"
import { badge, facts, link, note, recordTable, section } from "./parts.js"
import * as places from "./places.js"
import * as text from "./text.js"

const ROWS = 50
export const title = place => `Record ${place.rest[0]} · ${place.deployment}`
export const paths = place => [`v1/records/${encodeURIComponent(place.rest[0])}`]

export const view = (place, [data]) => {
  const receipt = data.receipt
  return [element("header", { class: "head" }, element("p", { class: "crumbs" }, link(places.write(place, "overview"), place.deployment), " › ", link(places.write(place, "records"), "records")),
    element("h1", { class: "break" }, "Record ", element("code", {}, data.id)), note(text.time(data.server_ms), ` (${text.utc(data.server_ms)})`, data.entity ? [" about ", link(places.write(place, "records", [], { entity: data.entity }), data.entity)] : "")),
  section("answer", "Answer", values(data.outputs, data, "outputs"), data.exposed === false && note("Nobody was given this answer: it belongs to a step or a shadow.")),
  section("inputs", "Asked", values(data.inputs, data, "inputs"), flags(data)),
  section("right", "Right?", labels(data)), reviews(place, data),
  section("receipt", "Who answered, and why", facts([["who", receipt.model], ["why", [element("code", {}, receipt.reason ?? text.NONE), ` ${REASONS[receipt.reason] ?? ""}`]], ["on", receipt.target],
    ["taken", [text.ms(receipt.time_ms), receipt.deadline_ms ? ` of ${text.ms(receipt.deadline_ms)}` : "", receipt.within_deadline === false ? [" ", badge("late", "wait")] : ""]], ["by the model", text.ms(receipt.model_ms)],
    ["did not answer", receipt.attempts?.length ? receipt.attempts.join(", ") : null], ["arm", data.arm], ["decided by", data.decided_by], ["chosen for review", data.selection ? `${text.share(data.selection)}, ${data.selection_reason ?? ""}` : null],
    ["old answer", receipt.age_ms !== undefined && receipt.age_ms !== null ? text.ms(receipt.age_ms) : null], ["event", data.event_ms !== data.server_ms ? text.time(data.event_ms) : null],
    ["package", data.package && element("code", { class: "break" }, data.package)], ["deployment", data.deployment && element("code", { class: "break" }, data.deployment)],
    ["part of", data.parent && link(places.write(place, "record", [data.parent]), data.parent)]])),
  data.steps.length ? section("steps", data.steps[0].arm === "shadow" ? "Challengers that answered beside it" : "Steps of the graph", recordTable(place, data.steps, "Steps")) : null,
  kept("features", "What the model saw", data.features), element("details", { "data-keep": "raw" }, element("summary", {}, "As data"), element("pre", { tabindex: "0" }, JSON.stringify(data, null, 1)))]
}

/** Fields by row: small tensors as they are, large ones as what was kept of them. */
const values = (held, data, side) => {
  const names = Object.keys(held)
  if (!names.length) return note(`No ${side} were kept.`)
  const rows = Math.min(Math.max(data.rows, 1), ROWS), wrong = new Set(data.wrong_rows)
  const cell = (value, row) => Array.isArray(value) ? (row < value.length ? text.kept(value[row], 120) : "") : text.kept(value, 120)
  return [rows === 1 ? facts(names.map(name => [name, element("span", { class: "break" }, cell(held[name], 0))]))
    : table(side, ["row", ...names], Array.from({ length: rows }, (_, row) => Object.assign([String(row), ...names.map(name => cell(held[name], row))], { kind: wrong.has(row) && side === "outputs" ? "wrong" : "" }))),
  data.rows > rows && note(`${text.count(data.rows - rows)} more rows.`)]
}

const flags = ({ flags: held }) => held.length ? [element("h3", {}, "Noticed at the door"), element("ul", {}, held.map(flag => element("li", {}, `${flag.field}: ${flag.why ?? ""} ${flag.row !== null && flag.row !== undefined ? `(row ${flag.row})` : ""} ${flag.got !== undefined ? `got ${text.kept(flag.got)}` : ""}`)))] : null

const labels = data => {
  if (!data.labels.length) return note("Nobody has said what was right. POST /v1/labels or portside label say it, now or in months.")
  const counted = new Set(Object.values(data.right).map(label => label.id))
  return [data.wrong === null ? null : element("p", {}, data.wrong ? badge("wrong", "bad") : badge("right", "good"), data.rows > 1 && data.wrong ? ` in row ${data.wrong_rows.join(", ")}` : ""),
    table("Labels", ["row", "right was", "said by", "when", "how", ""], data.labels.map(label => [String(label.row), element("span", { class: "break" }, Object.entries(label.values).map(([name, held]) => `${name} ${text.kept(held)}`).join(", ")),
      label.author, text.time(label.at_ms), label.source, [counted.has(label.id) ? "" : badge("corrected", "soft"), label.note ? ` ${label.note}` : ""]]))]
}

const reviews = (place, { reviews: held = [] }) => held.length ? section("reviews", "Reviews", table("Reviews", ["row", "how it stands", "what is decided", "why it was asked", "since", "by"], held.map(review =>
  [String(review.row), badge(review.state), review.output, review.reason, text.time(review.created_ms), review.by ?? ""])),
note(link("review", "The review page"))) : null

const kept = (id, words, held) => {
  const names = Object.keys(held)
  return names.length ? section(id, words, names.map(name => element("details", { "data-keep": `kept ${name}` }, element("summary", {}, name), element("pre", { tabindex: "0" }, JSON.stringify(held[name], null, 1))))) : null
}
