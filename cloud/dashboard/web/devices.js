// Devices that send a deployment's answers: who needs somebody, what runs where, what was lost; and the log of one.
import { element } from "./api.js"
import { table } from "./figures.js"
import { badge, empty, facts, figureOf, link, note, section, verdict } from "./parts.js"
import { parted } from "./fields.js"
import * as places from "./places.js"
import * as text from "./text.js"

const WORDS = { blocked: "blocked", refused: "refused the release", silent: "not heard of", new: "never heard of", updating: "on its way", current: "as wanted", free: "no release wanted" }
const KINDS = { blocked: "bad", refused: "bad", silent: "wait", new: "soft", updating: "wait", current: "good", free: "soft" }
const SHOWN = 6

/** A digest as people compare it; the whole of it under the pointer. */
const digest = held => held ? element("code", { title: held }, held.replace("sha256:", "").slice(0, 12)) : text.NONE
const seen = at => at === null ? "never" : text.time(at, () => `${text.ago(Date.now() - at)} ago`)
const state = device => badge(WORDS[device.state] ?? device.state, KINDS[device.state] ?? "")
const labels = held => Object.entries(held).sort().map(([name, value]) => `${name}=${value}`).join(", ")

export const all = {
  title: place => `Devices · ${place.deployment}`,
  paths: place => [places.data(place, "devices"), places.data(place, "status", { span: places.spanOf(place) })],
  every: () => 10_000,
  view: (place, [data, status]) => {
    const head = element("header", { class: "head" }, element("h1", {}, "Devices"), note(`Those that send answers of ${place.deployment}; who needs somebody comes first.`))
    if (!data.total) return [head, empty("No device was enrolled yet.", "A device has a key of its own, and sends what it counted, its errors and its reviews to this server.", "portside fleet enrol DEPLOYMENT.toml cam-7 --label site=north")]
    return [head, element("p", { class: "states" }, Object.entries(data.states).map(([name, count]) => [badge(`${text.count(count)} ${WORDS[name] ?? name}`, KINDS[name] ?? ""), " "])),
      section("list", text.plural(data.total, "device"), list(place, data.devices),
        data.devices.length < data.total && note(`The first ${text.count(data.devices.length)} are shown; portside fleet ls shows all.`),
        data.lost ? note(`${text.plural(data.lost, "entry was", "entries were")} given up by devices: their disks or quotas were full, or the server could not take them.`) : null),
      section("releases", "Releases", data.releases.length ? releases(data.releases) : empty("No device says what it runs, and nobody said what any is to run.", null, "portside fleet set DEPLOYMENT.toml sha256:… --label site=north")),
      drift(place, status)]
  },
}

const list = (place, devices) => table("Devices", ["device", "stands", "runs", "wanted", "errors", "lost"], devices.map(device => [
  [link(places.write(place, "device", [device.id]), device.id), element("span", { class: "soft labels" }, labels(device.labels))],
  [state(device), element("span", { class: "soft why" }, ["refused", "blocked"].includes(device.state) ? `${device.why}, ` : "", device.seen_ms === null ? "" : ["seen ", seen(device.seen_ms)])],
  digest(device.running), device.desired === device.running ? element("span", { class: "soft" }, device.desired ? "the same" : text.NONE) : digest(device.desired),
  text.count(device.errors), lost(device)]), { numbers: [4, 5], kind: "devices" })

const lost = device => device.lost_total ? element("span", { class: "wait", title: Object.entries(device.lost).map(([why, count]) => `${why} ${count}`).join(", ") }, text.count(device.lost_total)) : "0"

const releases = held => table("Releases", ["release", "run by", "wanted by"], held.map(one => [digest(one.release), text.count(one.running), text.count(one.desired)]), { numbers: [1, 2], kind: "narrow" })

/** What devices summed up, merged with all that was answered elsewhere: the minutes that monitors read. */
const drift = (place, { changed, span }) => {
  const words = `What devices summed up within ${span.name} is merged into the same minutes as answers of servers.`
  if (!changed.against) return section("drift", "Has their world changed?", note(words), empty("There is nothing to compare with.", `${changed.why}.`))
  const fields = changed.fields.filter(line => line.effect)
  return section("drift", "Has their world changed?", element("p", {}, verdict(changed.verdict), changed.drifted ? ` ${changed.drifted} of ${text.plural(changed.fields.length, "field")}` : ""), note(`${words} Against ${changed.against}.`),
    fields.length ? table("Fields that moved most", ["field", "rows elsewhere", "verdict"], fields.slice(0, SHOWN).map(line =>
      [link(places.write(place, "feature", [line.field]), parted(line.field)[1]), figureOf(line.effect, text.share), verdict(line.verdict)]), { kind: "fields" }) : null,
    element("p", {}, link(places.write(place, "fields"), `All ${text.count(changed.fields.length)} fields`)))
}

export const one = {
  title: place => `${place.rest[0]} · ${place.deployment}`,
  paths: place => [places.data(place, "device", { id: place.rest[0] })],
  every: () => 10_000,
  view: (place, [data]) => [
    element("header", { class: "head" }, element("p", { class: "crumbs" }, link(places.write(place, "devices"), "devices")), element("h1", { class: "break" }, data.id),
      element("p", {}, state(data), " ", element("span", { class: "soft" }, data.why))),
    section("about", "What is known", facts([["seen", seen(data.seen_ms)], ["labels", labels(data.labels)], ["runs", digest(data.running)], ["wanted", digest(data.desired)],
      ...Object.entries(data.versions).filter(([name]) => name !== "release"), ["may send", data.deployments.includes("*") ? "of every deployment" : data.deployments.join(", ")],
      ["entries here", text.count(data.entries)], ["on their way, or given up", data.missing ? text.count(data.missing) : null], ["errors within a day", text.count(data.errors)], ["enrolled", text.time(data.made_ms)]])),
    Object.keys(data.lost).length ? section("lost", "Given up by the device", table("Given up", ["what", "why", "entries"], Object.entries(data.lost).map(([name, count]) => [...name.split(":"), text.count(count)]), { numbers: [2], kind: "narrow" })) : null,
    section("log", "What happened", data.log.length ? table("What happened, the newest first", ["when", "what"], data.log.map(told => [[text.time(told.at_ms), element("span", { class: "labels" }, badge(told.kind === "desired" ? "wanted" : told.name, told.kind === "error" || told.name === "rolled-back" ? "wait" : told.name === "release" ? "good" : "soft"))],
      element("span", { class: "break" }, told.release ? [digest(told.release), " "] : "", told.record ? link(places.write(place, "record", [told.record]), told.what) : told.what)]), { kind: "log" }) : empty("Nothing yet.", "Updates, restarts and errors of the device stand here when it sends them."))],
}
