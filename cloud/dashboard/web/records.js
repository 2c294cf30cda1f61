// Records: a list that can be narrowed down, newest first, page by page.
import { element } from "./api.js"
import { empty, link, note, recordTable, section } from "./parts.js"
import * as places from "./places.js"
import * as text from "./text.js"

const STATES = { any: "all", wrong: "wrong", right: "right", labelled: "with a label", unlabelled: "without a label", flagged: "with flags", late: "late", fallback: "by a backup", unanswered: "without an answer" }
const NAMES = ["state", "entity", "model", "reason", "value", "before"]
const asked = place => Object.fromEntries(NAMES.map(name => [name, place.query.get(name) || ""]).filter(([, value]) => value))

export const title = place => `Records · ${place.deployment}`
export const paths = place => [places.records(place, { ...asked(place), limit: 50 })]

/** How often it is asked again: what the database cannot pick out itself costs the server more. */
export const every = place => Object.keys(asked(place)).length ? 15_000 : 3000

export const view = (place, [data]) => {
  const filters = asked(place), narrowed = Object.keys(filters).length > 0
  return [element("header", { class: "head" }, element("h1", {}, "Records"), note(`${place.deployment}: what was asked, what was answered, by whom and why; the newest first.`)),
    form(place, filters), section("list", narrowed ? "Those that fit" : "The newest", data.records.length ? recordTable(place, data.records)
      : empty(narrowed ? "No record fits." : "There are no records yet.", data.next ? `The newest ${text.plural(data.scanned, "record")} were looked at; there are older ones.` : narrowed ? "Ask for less." : "They are written from the first answer on."),
    element("p", { class: "pages no-print" }, filters.before && link(places.write(place, "records", [], { ...filters, before: "" }), "Newest"), " ",
      data.next && link(places.write(place, "records", [], { ...filters, before: data.next }), "Older records")))]
}

const form = (place, filters) => {
  const select = element("select", { id: "state", name: "state", "data-keep": "state" }, Object.entries(STATES).map(([value, name]) => element("option", { value, selected: value === (filters.state || "any") }, name)))
  const field = (name, words, hint) => [element("label", { for: name }, words), element("input", { id: name, name, value: filters[name] || "", placeholder: hint, "data-keep": name, autocomplete: "off" })]
  const made = element("form", { class: "filters no-print", role: "search", "aria-label": "Narrow down" }, [[element("label", { for: "state" }, "Which"), select], field("entity", "About", "entity"),
    field("value", "Where", "field=value"), field("model", "Who answered", "name")].map(pair => element("div", {}, pair)), element("button", {}, "Show"))
  const go = () => { location.hash = places.write(place, "records", [], Object.fromEntries([...new FormData(made)].filter(([, value]) => value && value !== "any").map(([name, value]) => [name, String(value).trim()]))) }
  made.addEventListener("submit", event => { event.preventDefault(); go() })
  select.addEventListener("change", go)
  return made
}
