// The first view: four questions with their answers, then what stands behind each.
import { element } from "./api.js"
import { answersOver, reasons } from "./answers.js"
import { fields } from "./fields.js"
import { alertLines, bySeverity, empty, link, note, section } from "./parts.js"
import * as places from "./places.js"
import { lines, spark, stacked } from "./plots.js"
import { quality, score } from "./quality.js"
import * as text from "./text.js"

const SHOWN = 3
export const title = place => place.deployment
export const paths = place => [places.data(place, "status", { span: places.spanOf(place) })]

export const view = (place, [data]) => {
  if (!data.last_ms) return [head(place, data), section("empty", "Nothing was asked yet", empty("This deployment has no records.",
    "Records are written from the first answer on, and this page shows them within seconds.",
    "curl -H 'content-type: application/json' -d '{\"row\": {...}}' http://127.0.0.1:3000/predict"))]
  return [head(place, data), firing(place, data), waiting(data), tried(place, data), cards(place, data), isUp(data), whoAnswered(place, data), quality(place, data), fields(place, data, 12)]
}

export const head = (place, data) => element("header", { class: "head" }, element("h1", {}, data.name ? `${data.name}` : data.deployment),
  note(`${data.span.name} until now in steps of ${/^\d/.test(text.stepped(data.span.step_ms)) ? "" : "a "}${text.stepped(data.span.step_ms)}. `, data.last_ms ? ["Newest record ", text.time(data.last_ms), ". "] : "", seenBy(data)))

const seenBy = data => data.source === "monitor" ? data.last_ms - data.monitor_ms > 300_000
  ? element("strong", { class: "wait" }, "The monitor last wrote ", text.time(data.monitor_ms), ": what came since is not counted here, and raises no alerts.")
  : ["Watched by a monitor, which last wrote ", text.time(data.monitor_ms), "."]
  : data.complete ? "No monitor has been here: these figures are made from the records, and nothing raises alerts. A [monitor] section in the deployment file starts one."
    : "No monitor has been here: these figures are made from the newest 5,000 records of the span alone. A [monitor] section in the deployment file starts one."

const firing = (place, data) => {
  const held = bySeverity(data.alerts.filter(alert => alert.state === "firing"))
  if (!held.length) return null
  return section("alerts", `${text.plural(held.length, "alert fires", "alerts fire")}`, element("div", { class: "short" }, alertLines(place, held.slice(0, SHOWN))),
    held.length > SHOWN && element("p", {}, link(places.write(place, "alerts"), `All ${text.count(data.alerts.length)} alerts`)))
}

const waiting = ({ people }) => people.waiting ? element("p", { class: "waiting" }, `${text.plural(people.waiting, "answer waits", "answers wait")} for a person`, people.oldest_ms ? [", the oldest since ", text.time(people.oldest_ms)] : "", ". ", link("review", "Review them")) : null

const tried = (place, { rollout }) => rollout ? element("p", { class: "waiting" }, "Rollout of ", element("strong", {}, rollout.challengers.map(one => one.name || one.digest.slice(7, 19)).join(", ")), `: ${rollout.place} since `, text.time(rollout.since_ms),
  rollout.asks ? `; a person is asked for a yes: ${rollout.asks}` : "", ". ", link(places.write(place, "rollout"), "Look at it")) : null

const cards = (place, data) => element("div", { class: "cards" },
  card("Is it up?", "up", ...upSays(data), spark(data.up.points.map(point => point.requests))),
  card("Who answered?", "who", ...whoSays(data)),
  card("Is it right?", "right", ...rightSays(data), spark(data.right.outputs[0]?.points.map(point => point.value) ?? [])),
  card("Has the world changed?", "changed", ...changedSays(data)))

const card = (question, id, answer, detail, picture) => {
  const made = element("article", { class: "card" }, element("h2", {}, question), element("p", { class: "answer" }, answer), element("p", { class: "soft" }, detail),
    picture, element("p", { class: "more" }, element("a", { href: location.hash || "#/", "data-section": id }, `More on “${question}”`)))
  return made
}

const upSays = ({ up, span }) => {
  if (!up.requests) return ["Nothing was asked.", `No request within ${span.name}.`]
  const late = up.late ? `${text.count(up.late)} past the deadline. ` : up.deadline_ms ? "None past the deadline. " : ""
  return [text.plural(up.requests, "answer"), `Half within ${text.ms(up.latency.p50)}, 99% within ${text.ms(up.latency.p99)}. ${late}`]
}
const whoSays = ({ who, up }) => {
  const first = who.answers[0]
  if (!first) return ["Nobody.", "There was nothing to answer."]
  return [`${first.model || "nobody"} ${text.share(first.share)}`, up.fallback ? `${text.plural(up.fallback, "answer")} by a backup (${text.share(up.fallback / up.requests)}).` : "No backup was needed."]
}
const rightSays = ({ right }) => {
  const held = right.outputs[0]
  if (!held) return ["Nobody has said.", "No answer of this span has a label yet."]
  return [score(held, right.enough), `From ${text.plural(held.labelled, "labelled row")} of ${text.count(right.rows)} (${text.share(held.coverage)}).`]
}
const changedSays = ({ changed, right }) => {
  const looks = changed.suspicions.length ? ` ${text.plural(changed.suspicions.length, "field looks", "fields look")} like a mistake.` : ""
  if (!changed.against) return ["Not compared.", `No reference: ${changed.why}.`]
  if (changed.verdict === "not enough data") return ["Not enough data", `${text.plural(right.rows, "row")} say nothing of drift yet.${looks}`]
  if (changed.drifted) return [`${changed.drifted} of ${text.plural(changed.fields.length, "field")} drift`, `Against ${changed.against}.${looks}`]
  return ["No drift", `${text.count(changed.judged)} of ${text.plural(changed.fields.length, "field")} could be judged against ${changed.against}.${looks}`]
}

export const isUp = data => {
  const { up, span } = data
  const summary = `${text.plural(up.requests, "answer")} within ${span.name}, ${text.count(up.late)} late`
  return section("up", "Is it up?", element("div", { class: "pair" },
    stacked({ title: `Answers per ${text.stepped(span.step_ms)}`, summary, span, points: up.points, keep: "requests", series: [
      { name: "in time", kind: "k0", of: point => point.requests - point.late }, { name: "late", kind: "k1", of: point => point.late }] }),
    lines({ title: "Time taken, from arrival to answer", summary: `half within ${text.ms(up.latency.p50)}, 99% within ${text.ms(up.latency.p99)}`, span, points: up.points, write: text.ms, log: true,
      keep: "latency", limit: up.deadline_ms ? { value: up.deadline_ms, say: `deadline ${text.ms(up.deadline_ms)}` } : null,
      series: [{ key: "p50", name: "half within", kind: "line" }, { key: "p95", name: "95% within", kind: "line second" }, { key: "p99", name: "99% within", kind: "line third" }] })),
  budgets(up), note("Requests that were refused leave no record: /metrics counts them. Those that nothing could answer are among these."))
}

const budgets = up => up.budgets?.length ? element("div", {}, element("h3", {}, "Error budgets"), element("ul", { class: "budgets" }, up.budgets.map(budget => element("li", {},
  element("meter", { min: 0, max: 1, low: 0.1, optimum: 1, value: Math.max(0, Math.min(1, budget.value ?? 0)), "aria-label": `${budget.subject}: budget left` }),
  ` ${budget.what}`)))) : null

const whoAnswered = (place, data) => section("who", "Who answered?", answersOver(data), reasons(place, data))
