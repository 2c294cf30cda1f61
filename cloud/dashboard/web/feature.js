// One field: its values now beside the reference, the verdict with its figures, and how it moved.
import { element } from "./api.js"
import { parted } from "./fields.js"
import { badge, empty, facts, figureOf, link, note, section, verdict } from "./parts.js"
import * as places from "./places.js"
import { lines, stacked } from "./plots.js"
import { categories, histogram } from "./spread.js"
import * as text from "./text.js"

const part = place => place.query.get("slice") || ""
export const title = place => `${place.rest.join("/")} · ${place.deployment}`
export const paths = place => [places.data(place, "feature", { span: places.spanOf(place), name: place.rest.join("/"), ...(part(place) ? { slice: part(place) } : {}) })]

export const view = (place, [data]) => {
  const [kind, name] = parted(data.name)
  return [element("header", { class: "head" }, element("p", { class: "crumbs" }, link(places.write(place, "overview"), data.deployment), " › ", link(places.write(place, "fields"), "fields")),
    element("h1", { class: "break" }, name), note(kind, data.slice ? [" of the slice ", link(places.write(place, "slice", [data.slice]), data.slice)] : "", `, ${data.span.name} until now`)),
  chooser(place, data), judged(data), shape(data), moved(data), sides(data), flags(place, data)]
}

const chooser = (place, data) => {
  if (!data.slices.length) return null
  const select = element("select", { id: "slice", "data-keep": "slice" }, element("option", { value: "" }, "all rows"), data.slices.map(name => element("option", { value: name, selected: name === data.slice }, name)))
  select.addEventListener("change", () => { location.hash = places.write(place, "feature", place.rest, { slice: select.value }) })
  return element("p", { class: "chooser no-print" }, element("label", { for: "slice" }, "Slice "), select)
}

const judged = ({ drift, against, now, beside }) => {
  if (beside && drift) return section("drift", "Beside all rows", element("p", {}, `${text.share(drift.effect.value)} ${text.interval(drift.effect.low, drift.effect.high, text.share)} of this slice's rows lie elsewhere than those of all rows of the span. A slice may differ and always have: this says nothing of a change.`))
  if (!now) return section("drift", "Verdict", badge("not seen", "wait"), note("No value of this field was seen in this span; below is the reference alone."))
  if (!drift) return section("drift", "Verdict", badge("nothing to compare with", "soft"), note(against ? "The reference lacks this field." : "There is no reference for this deployment."))
  return section("drift", "Verdict", element("p", {}, verdict(drift.verdict), ` ${drift.what}.`), facts([
    ["rows elsewhere", figureOf(drift.effect, text.share)], ["tolerated", text.share(drift.tolerance)], ["p, corrected over fields", text.value(drift.p)], ["PSI", text.value(drift.psi)],
    ["moved, in deviations", drift.wasserstein === null ? null : text.value(drift.wasserstein)], ["missing, change", figureOf(drift.missing, text.share)],
    ["smallest change that would show", text.share(drift.visible)], ["rows now / reference", `${text.count(drift.rows)} / ${text.count(drift.reference_rows)}`],
    ["sketch error, at most", drift.error ? text.share(drift.error) : null]]))
}

const shape = data => {
  const both = data.now && data.reference ? (data.beside ? "this slice beside all rows" : "now beside the reference") : data.now ? "now" : "the reference"
  const held = data.kind === "categories" ? data.categories : data.bins
  if (!held.length) return section("shape", "Values", empty("No value was kept.", "Every value of this field is missing or redacted."))
  const summary = data.kind === "categories" ? `the most frequent is ${[...held].sort((a, b) => (b.now ?? b.reference) - (a.now ?? a.reference))[0].name}`
    : `the middle is ${text.value((data.now ?? data.reference).p50)} ${data.now ? "now" : "in the reference"}${data.now && data.reference ? `, ${text.value(data.reference.p50)} in the reference` : ""}`
  return section("shape", "Values", data.kind === "categories" ? categories({ title: `Shares, ${both}`, summary, lines: held, keep: "shape" }) : histogram({ title: `Distribution, ${both}`, summary, bins: held, keep: "shape" }),
    data.more ? note(`${text.count(data.more)} rarer values are together in the last line.`) : null)
}

const moved = data => {
  const { span, points } = data, places = points.flatMap(point => [point.p5, point.p95]).filter(Number.isFinite)
  const low = Math.min(...places), high = Math.max(...places), room = (high - low) * 0.08 || Math.abs(low) * 0.05 || 1
  const plot = data.kind === "categories" ? shares(data) : lines({ title: "The middle, and where nine in ten values lie", summary: places.length ? `between ${text.value(low)} and ${text.value(high)}` : "no values",
    span, points, band: { low: "p5", high: "p95" }, ...(places.length ? { low: low - room, high: high + room } : {}), series: [{ key: "p50", name: "middle", kind: "line" }], keep: "moved" })
  const gone = points.some(point => point.missing > 0)
  return section("moved", "Over time", plot, gone ? lines({ title: "Share of values that are missing", summary: "see the table", span, points, write: text.share, least: 0.01, series: [{ key: "missing", name: "missing", kind: "line" }], keep: "missing" }) : null)
}

const shares = ({ span, points }) => {
  const names = Object.keys(points.find(point => Object.keys(point.shares).length)?.shares ?? {})
  const series = names.map((name, place) => ({ name, kind: `k${place}`, of: point => point.shares[name] || 0 }))
  return stacked({ title: "Shares of the most frequent values", summary: "see the table", span, points, series, write: text.share, high: 1, keep: "moved" })
}

const FIGURES = [["rows", "rows", text.count], ["missing", "missing", text.share], ["mean", "mean", text.value], ["deviation", "deviation", text.value], ["low", "smallest", text.value],
  ["p5", "5% lie below", text.value], ["p50", "middle", text.value], ["p95", "5% lie above", text.value], ["high", "largest", text.value]]
const sides = ({ now, reference }) => {
  const rows = FIGURES.filter(([key]) => [now, reference].some(side => side && side[key] !== undefined && side[key] !== null))
  return section("sides", "In figures", element("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Figures of both sides" }, element("table", { class: "narrow" },
    element("thead", {}, element("tr", {}, element("td", {}), element("th", { scope: "col", class: "right" }, "now"), element("th", { scope: "col", class: "right" }, "reference"))),
    element("tbody", {}, rows.map(([key, name, write]) => element("tr", {}, element("th", { scope: "row" }, name), [now, reference].map(side => element("td", { class: "right" }, side ? write(side[key]) : text.NONE))))))))
}

const flags = (place, data) => Object.keys(data.flags).length ? section("flags", "What the door noticed", element("ul", {}, Object.entries(data.flags).map(([key, count]) =>
  element("li", {}, `${key.split("|")[1]}: ${text.plural(count, "row")} `))), element("p", {}, link(places.write(place, "records", [], { state: "flagged" }), "Records with flags"))) : null
