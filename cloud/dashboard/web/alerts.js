// All alerts of a deployment, and one with its evidence, what a person does first, and the records behind it.
import { element } from "./api.js"
import { alertKind, alertLines, badge, bySeverity, empty, facts, link, note, recordTable, section, STATES } from "./parts.js"
import { evidence } from "./evidence.js"
import * as places from "./places.js"
import * as text from "./text.js"

export const all = {
  title: place => `Alerts · ${place.deployment}`,
  paths: place => [places.data(place, "alerts")],
  view: (place, [data]) => {
    const groups = [["firing", "Fire now"], ["pending", "May fire soon"], ["resolved", "Resolved"]].map(([state, words]) => [words, state, bySeverity(data.alerts.filter(alert => alert.state === state))])
    return [element("header", { class: "head" }, element("h1", {}, "Alerts"), note(data.monitor_ms ? ["A monitor last wrote ", text.time(data.monitor_ms), "."] : "")),
      data.monitor_ms === null ? empty("Nobody watches this deployment.", "A monitor judges drift, accuracy and objectives, and raises alerts. The section starts it with the server; apart it is run by hand.", "[monitor]\nslo = { availability = 0.999, p99_ms = 50 }\n\nportside monitor DEPLOYMENT.toml")
        : !data.alerts.length ? empty("No alert has fired.", "This is what a calm deployment looks like.") : groups.map(([words, state, held]) => held.length ? section(state, words, alertLines(place, held)) : null)]
  },
}

export const one = {
  title: place => `Alert · ${place.deployment}`,
  paths: place => [places.data(place, "alert", { id: place.rest[0] })],
  view: (place, [data]) => [
    element("header", { class: "head" }, element("p", { class: "crumbs" }, link(places.write(place, "overview"), place.deployment), " › ", link(places.write(place, "alerts"), "alerts")),
      element("h1", { class: "break" }, data.name, data.subject ? ` · ${data.subject}` : ""), element("p", {}, badge(`${data.severity}, ${STATES[data.state]}`, alertKind(data)), data.flapping && [" ", badge("comes and goes: held longer before it counts as resolved")])),
    section("what", "What", element("p", {}, data.what), facts([["value", text.value(data.value)], ["interval", text.interval(data.low, data.high)], ["limit", data.limit === null ? null : text.value(data.limit)],
      ["it first held", text.time(data.began_ms)], [`${STATES[data.state]} since`, text.time(data.since_ms)], ["last judged", text.time(data.seen_ms)]])),
    section("runbook", "What to do first", element("p", {}, data.runbook || "This alert names no first step; give it one under runbook in [[monitor.alert]].")),
    section("evidence", "Evidence", data.field && element("p", {}, link(places.write(place, "feature", [data.field], { slice: data.slice }), `Distribution of ${data.field}${data.slice ? ` in ${data.slice}` : ""}`)),
      data.evidence.rollout && element("p", {}, link(places.write(place, "rollout", [data.evidence.rollout]), "The rollout, its figures and its log")),
      data.slice && element("p", {}, link(places.write(place, "slice", [data.slice]), `The slice ${data.slice}`)), evidence(data.evidence)),
    section("examples", "Records behind it", data.records.length ? recordTable(place, data.records, "Records behind the alert") : note("This alert names no records."),
      data.gone.length ? note(`${text.plural(data.gone.length, "record")} of the evidence ${data.gone.length === 1 ? "is" : "are"} deleted by now.`) : null),
    section("told", "What was told", data.events.length ? element("ol", { class: "events" }, data.events.map(event => element("li", {}, badge(STATES[event.state] ?? event.state), " ", text.time(event.at_ms)))) : note("It has not fired yet."))],
}
