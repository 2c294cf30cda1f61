// Has the world changed: fields beside their reference, those that moved most first, each a link to its own page.
import { element } from "./api.js"
import { table } from "./figures.js"
import { badge, empty, figureOf, link, note, section, verdict } from "./parts.js"
import * as places from "./places.js"
import { whisker } from "./spread.js"
import * as text from "./text.js"

export const title = place => `Fields · ${place.deployment}`
export const paths = place => [places.data(place, "status", { span: places.spanOf(place) })]
export const view = (place, [data]) => [element("header", { class: "head" }, element("h1", {}, "Fields"), note(data.deployment)), fields(place, data, Infinity)]

const KINDS = { in: "input", out: "output", feature: "feature", trait: "of the raw input" }
export const parted = name => { const [kind, ...rest] = name.split("."); return [KINDS[kind] ?? "", KINDS[kind] ? rest.join(".") : name] }

export const fields = (place, data, most) => {
  const { changed, right } = data
  if (!changed.fields.length) return section("changed", "Has the world changed?", empty("No field was kept.", "Records keep inputs up to [records] raw_limit_bytes, and figures of images, texts and sound beyond that."))
  const shown = changed.fields.slice(0, most), more = changed.fields.length - shown.length, { beside } = changed
  return section("changed", beside ? "How does it differ from all rows?" : "Has the world changed?", suspicions(place, data),
    beside ? note(`Beside ${changed.against}: which share of this slice's rows lies elsewhere, with its interval. A slice may differ and always have: this says nothing of a change.`)
      : changed.against ? note(`Against ${changed.against}: which share of the ${text.plural(right?.rows ?? changed.rows, "row")} lies elsewhere, with its interval. The tick is what is tolerated. `
        + "Drift is said when chance does not explain more than that, over all fields together.")
        : empty("There is nothing to compare with.", `${changed.why}. The distributions are shown all the same.`),
    changed.absent.length ? element("p", {}, badge("absent", "wait"), ` ${changed.absent.join(", ")}: in the reference, and not seen in this span.`) : null,
    table("Fields, those that differ most first", ["field", "", "rows elsewhere", "", "missing", beside ? "" : "verdict"], shown.map(line => row(place, line, beside)), { kind: "fields" }),
    more > 0 && element("p", {}, link(places.write(place, "fields"), `All ${text.count(changed.fields.length)} fields`)))
}

const row = (place, line, beside) => {
  const [kind, name] = parted(line.field)
  const head = [link(places.write(place, "feature", [line.field], place.part ? { slice: place.part } : {}), name)]
  if (!line.effect) return [head, element("span", { class: "soft" }, kind), "", "", "", line.verdict === null ? badge("not in the reference", "soft") : ""]
  const gone = Math.abs(line.missing.value) >= 0.001
  return [head, element("span", { class: "soft" }, kind), figureOf(line.effect, text.share), whisker(line.effect, 0, Math.max(0.5, line.effect.high ?? 0), { limit: beside ? null : line.tolerance, kind: line.verdict === "drift" && !beside ? "wait" : "" }),
    gone ? `${line.missing.value > 0 ? "+" : "−"}${text.share(Math.abs(line.missing.value))}` : "", beside ? "" : verdict(line.verdict)]
}

const suspicions = (place, { changed }) => changed.suspicions?.length ? element("div", { class: "empty warned" }, element("h3", {}, "Looks like a mistake"),
  element("ul", {}, changed.suspicions.map(held => element("li", {}, held.what)))) : null
