// A rollout: where it stands and why, each measure against its limit, who was given what, and what was decided when, by whom.
import { element } from "./api.js"
import { table } from "./figures.js"
import { badge, empty, link, note, section } from "./parts.js"
import * as places from "./places.js"
import { sequence } from "./sequence.js"
import { whisker } from "./spread.js"
import * as text from "./text.js"

const PHASES = { gates: "gates", waiting: "waits for a person", shadow: "in shadow", canary: "canary", switched: "everyone, watched", promoted: "promoted", "rolled back": "rolled back", ended: "compared" }
const KINDS = { waiting: "wait", promoted: "good", ended: "good", "rolled back": "bad" }
const DONE = { promote: "good", end: "good", "roll back": "bad", "rolled back": "bad", drop: "bad", paged: "wait", asked: "wait" }
const VERDICTS = { within: ["within", "good"], beyond: ["beyond", "bad"], "not enough data": ["not enough data", "soft"] }
const SETTING = `[rollout]
challenger = "NAME:4"

portside reload DEPLOYMENT.toml
portside rollout start DEPLOYMENT.toml`

export const title = place => `Rollout · ${place.deployment}`
export const paths = place => [places.data(place, "rollout", place.rest[0] ? { id: place.rest[0] } : {})]
export const every = () => 6000

export const view = (place, [data]) => {
  const { rollout } = data
  if (!rollout) return [element("header", { class: "head" }, element("h1", {}, "Rollout")), empty("Nothing is rolled out.", "A challenger beside the champion is first asked in shadow, then given to a growing share, and goes back by itself when a limit is proven broken.", SETTING), others(place, data)]
  return [head(place, rollout), now(rollout), measures(rollout), arms(rollout), log(rollout), others(place, data)]
}

const digest = held => element("code", { title: held }, held.replace("sha256:", "").slice(0, 12))
const named = (one, kind) => [one.name ? [element("strong", { class: "break" }, one.name), " "] : `${kind} `, digest(one.digest)]

const head = (place, rollout) => element("header", { class: "head" },
  place.rest[0] ? element("p", { class: "crumbs" }, link(places.write(place, "rollout"), "rollout")) : null, element("h1", {}, "Rollout"),
  element("p", { class: "who-beside" }, rollout.challengers.map((one, number) => [number ? ", " : "", named(one, "challenger")]), element("span", { class: "soft" }, " beside "), rollout.champion.digest ? named(rollout.champion, "champion") : "the champion"),
  note(`A ${rollout.mode} rollout, begun `, text.time(rollout.began_ms), rollout.over ? [", over since ", text.time(rollout.since_ms)] : rollout.seen_ms ? [". Last looked at ", text.time(rollout.seen_ms)] : "", ". Chance of a wrong promotion or a wrong way back: at most ", text.percent(rollout.alpha), ", however often it is looked at."))

/** Where it is, as a track of steps, and why, in a paragraph. */
const now = rollout => section("now", "Where it stands",
  element("ol", { class: "track", "aria-label": "Steps of the rollout" }, rollout.track.map(step => element("li", { class: stopped(rollout, step), "aria-current": step.state === "now" ? "step" : null },
    element("span", { class: "stop-name" }, step.name), element("span", { class: "stop-since soft" }, step.since_ms ? text.time(step.since_ms, at => text.moment(at, 48 * 3.6e6)) : step.state === "skipped" ? "not reached" : "to come")))),
  rollout.needs ? element("p", { class: "told bad" }, element("strong", {}, "A person is needed. "), rollout.needs) : null,
  rollout.asks && !rollout.over ? element("p", { class: "told wait" }, element("strong", {}, "A person is asked"), ` for a yes: ${rollout.asks}.`) : null,
  element("p", { class: "why-so" }, badge(PHASES[rollout.phase] ?? rollout.phase, KINDS[rollout.phase] ?? ""), " ", rollout.why),
  rollout.commands.length ? [note(rollout.commands.length > 1 ? "Whoever decides does so at a terminal of the server:" : "To go back, at a terminal of the server:"), element("pre", { tabindex: "0" }, rollout.commands.join("\n"))] : null)

const stopped = ({ over, phase }, { state }) => state === "now" && over ? `now end ${KINDS[phase]}` : state

const verdict = line => line.suspect && line.verdict !== "beyond" ? badge("looks worse", "wait") : badge(...VERDICTS[line.verdict])
const whose = (rollout, line) => rollout.challengers.length > 1 ? `${rollout.challengers.find(one => one.digest === line.challenger)?.name || line.challenger.slice(7, 19)}: ` : ""

const measures = rollout => {
  const whole = rollout.measures.filter(line => !line.slice), parts = rollout.measures.filter(line => line.slice), drawn = whole.filter(line => line.points.length)
  if (!rollout.measures.length) return section("measures", "What it has shown", empty("Nothing was measured yet.", rollout.phase === "gates" || rollout.phase === "waiting" ? "Nobody is given the challenger yet." : "Figures stand here when the first requests have come."))
  return section("measures", "What it has shown", judged(rollout, whole, "Measures over everyone"),
    note("A measure is within its limit once the whole band is below the line, and beyond it once the band is above. In between the data cannot tell yet. Where no comparison is possible any more, as from shadow to canary, a sequence begins anew."),
    drawn.length ? element("div", { class: "pair" }, drawn.map(line => plot(rollout, line))) : null,
    parts.length ? sliced(rollout, parts) : null)
}

const judged = (rollout, lines, caption) => table(caption, ["measure", "verdict", "measured", "", "limit", "units"], lines.map(line => [
  [line.slice ? [element("strong", {}, line.slice), element("br")] : "", whose(rollout, line), line.words], verdict(line),
  line.estimate === null ? "nothing yet" : [text.percent(line.estimate), " ", element("span", { class: "soft" }, text.interval(line.low, line.high, text.percent))], line.estimate === null ? "" : scaled(line), text.percent(line.limit), text.count(line.rows)]), { numbers: [4, 5], kind: "judged" })

const scaled = line => {
  const reach = Math.max(3 * line.limit, 1.3 * Math.abs(line.estimate ?? 0), 1e-4)
  return whisker({ value: line.estimate, low: line.low, high: line.high }, -reach / 2, reach, { limit: line.limit, kind: line.verdict === "beyond" ? "bad" : "" })
}

const plot = (rollout, line) => sequence({ title: `${line.slice ? `${line.slice}: ` : ""}${whose(rollout, line)}${line.words}`, summary: `${text.percent(line.estimate)} ${text.interval(line.low, line.high, text.percent)}, limit ${text.percent(line.limit)}: ${line.verdict}`,
  points: line.points, limit: line.limit, marks: rollout.marks, kind: line.verdict === "beyond" ? "bad" : "", keep: `sequence ${line.challenger} ${line.measure} ${line.slice ?? ""}` })

/** Slices: those that are not settled and their sequences first; the others fold away. */
const sliced = (rollout, lines) => {
  const settled = lines.filter(line => line.verdict === "within"), open = lines.filter(line => line.verdict !== "within"), drawn = lines.filter(line => line.points.length)
  const beyond = drawn.filter(line => line.verdict === "beyond"), others = drawn.filter(line => line.verdict !== "beyond")
  return [element("h3", {}, open.length ? "Slices, the worst first" : "Slices"), open.length ? judged(rollout, open, "Slices that are not settled") : null,
    beyond.length ? element("div", { class: "pair" }, beyond.map(line => plot(rollout, line))) : null,
    settled.length ? element("details", { "data-keep": "settled" }, element("summary", {}, `${text.count(settled.length)}${open.length ? " more" : ""}, all within their limits`), judged(rollout, settled, "Slices within their limits")) : null,
    others.length ? element("details", { "data-keep": "slices" }, element("summary", {}, beyond.length ? "Sequences of the other slices" : "Sequences of the slices"), element("div", { class: "pair" }, others.map(line => plot(rollout, line)))) : null]
}

const arms = ({ arms: held, challengers, mode }) => held.length ? section("arms", "Who was given what", table("Units by step and arm", ["step", "arm", "units", "failed", "late", "labelled", "wrong"], held.flatMap(stop => ["champion", "challenger"].map(arm => [
  `${stop.place}${challengers.length > 1 ? `, ${challengers.find(one => one.digest === stop.challenger)?.name || stop.challenger.slice(7, 19)}` : ""}`, arm, ...["units", "failed", "late", "labelled", "wrong"].map(what => text.count(stop[what][arm]))])), { numbers: [2, 3, 4, 5, 6], kind: "fields" }),
note(mode === "shadow" ? "In shadow both answer the same rows, and everyone is given the champion's answer." : "A unit is an entity, counted once in a step, or a request about nobody. It counts for the arm that it was given, also where a backup had to answer: a challenger that fails cannot hide behind it.")) : null

const log = rollout => section("log", "What was decided", rollout.broken ? element("p", { class: "told bad" }, element("strong", {}, "Do not trust this log. "), `${rollout.broken}.`) : null,
  element("ol", { class: "decided", reversed: "" }, rollout.log.map(entry => element("li", {}, element("span", { class: "when" }, text.time(entry.at_ms)),
    element("span", { class: "what" }, badge(entry.what, DONE[entry.what] ?? "soft"), entry.to ? ` → ${entry.to}` : "", element("span", { class: "soft" }, " by ", entry.by)), element("span", { class: "break" }, entry.why)))))

const others = (place, data) => data.others.length ? section("others", "Other rollouts", table("Other rollouts", ["begun", "challenger", "mode", "stands"], data.others.map(one => [
  link(places.write(place, "rollout", [one.id]), text.time(one.began_ms)), one.challengers.map((held, number) => [number ? ", " : "", held.name || digest(held.digest)]), one.mode, badge(PHASES[one.phase] ?? one.phase, KINDS[one.phase] ?? "soft")]), { kind: "narrow" })) : null
