// Who answered and why: over time, and as a table that leads to the records.
import { element } from "./api.js"
import { table } from "./figures.js"
import { link, note } from "./parts.js"
import * as places from "./places.js"
import { stacked } from "./plots.js"
import * as text from "./text.js"

const SHOWN = 5

/** Reasons of receipts, in words. */
export const REASONS = {
  primary: "as intended", deadline: "the first was too slow", "breaker-open": "the first was left alone after failures", crashed: "the first crashed", failed: "the first failed",
  "non-finite": "the first gave no finite number", busy: "too much waited", down: "the first was down", cached: "asked before", consistent: "answered before for the same entity",
  precomputed: "computed before",
}

export const answersOver = ({ who, span }) => {
  if (!who.answers.length) return note("There was nothing to answer.")
  const keys = who.answers.slice(0, SHOWN).map(({ key }) => key), rest = who.answers.length > SHOWN
  const series = keys.map((key, place) => ({ name: named(key), kind: `k${place}`, of: point => point.answers[key] || 0 }))
  if (rest) series.push({ name: "others", kind: "k6", of: point => point.requests - keys.reduce((sum, key) => sum + (point.answers[key] || 0), 0) })
  const first = who.answers[0]
  return stacked({ title: `Answers per ${text.stepped(span.step_ms)}, by who gave them`, summary: `${named(first.key)} gave ${text.share(first.share)} of them`, span, points: who.points, series, keep: "who" })
}

const NOBODY = "nobody"
const named = key => { const [said, reason] = key.split("|"), model = said || NOBODY; return !reason || reason === "primary" ? model : `${model} (${reason})` }

export const reasons = (place, { who, up, entries = [] }) => element("div", { class: "pair" },
  table("Who answered and why", ["who", "why", "answers", "share", ""], who.answers.slice(0, 12).map(({ model, reason, requests, share }) => [
    model || NOBODY, [element("code", {}, reason), element("span", { class: "soft" }, ` ${REASONS[reason] ?? ""}`)], text.count(requests), text.share(share),
    link(places.write(place, "records", [], model ? { model, reason } : { state: "unanswered", reason }), "records")]), { numbers: [2, 3] }),
  up.attempts.length ? element("div", {}, element("h3", {}, "Entries of the chain that did not answer"), table("Entries that did not answer", ["entry", "why", "times"],
    up.attempts.map(({ entry, reason, count }) => [`${entries[entry] ?? "entry"} (${entry})`, element("code", {}, reason), text.count(count)]), { numbers: [2] }))
    : note("Every entry that was asked answered."))
