// The dashboard: what the address says is fetched, shown, and asked for again while the page is looked at.
import { askForKey, element, get, hasKey, Refused, useKey } from "./api.js"
import * as alerts from "./alerts.js"
import * as devices from "./devices.js"
import * as feature from "./feature.js"
import * as fields from "./fields.js"
import * as overview from "./overview.js"
import * as places from "./places.js"
import * as record from "./record.js"
import * as records from "./records.js"
import * as rollouts from "./rollouts.js"
import * as slice from "./slice.js"
import * as text from "./text.js"

const EVERY_MS = 3000, PATIENCE_MS = 15_000
const VIEWS = { overview, fields, feature, slice, records, record, rollout: rollouts, devices: devices.all, device: devices.one, alerts: alerts.all, alert: alerts.one }
const UNDER = { feature: "fields", slice: "overview", record: "records", device: "devices", alert: "alerts" }
const TABS = [["overview", "Overview"], ["fields", "Fields"], ["records", "Records"], ["rollout", "Rollout"], ["devices", "Devices"], ["alerts", "Alerts"]]
const app = document.getElementById("app")
const state = { place: null, held: [], key: "", heard: null, silent: false, deployments: null, shell: null, asking: null, shown: false, asked: 0 }

/** The frame around every view: which deployment, which span, where to go, and whether there is news. */
const shell = () => {
  const names = state.deployments.deployments.map(one => one.name), { place } = state
  const choose = (id, words, options, chosen, go) => {
    const select = element("select", { id }, options.map(([value, shown]) => element("option", { value, selected: value === chosen }, shown)))
    select.addEventListener("change", () => go(select.value))
    return element("div", { class: "choose" }, element("label", { for: id }, words), select)
  }
  const live = element("p", { id: "live", class: "live" }), focused = document.activeElement?.id
  const tabs = element("nav", { "aria-label": "Views" }, TABS.map(([view, words]) => element("a", { href: places.write(bare(place), view), "data-view": view }, words, view === "alerts" ? element("span", { id: "alert-count", class: "count" }) : null)), element("a", { href: "review" }, "Review"))
  const bar = element("div", { class: "top no-print" }, element("strong", { class: "brand" }, "Portside"),
    names.length > 1 ? choose("deployment", "Deployment", names.map(name => [name, name]), place.deployment, name => { location.hash = places.write({ ...bare(place), deployment: name }, "overview") }) : null,
    choose("span", "Span", state.deployments.spans.map(name => [name, name]), places.spanOf(place), span => { location.hash = places.write(place, place.view, place.rest, { ...Object.fromEntries(place.query), span }) }),
    tabs, live, hasKey() ? forget() : null)
  const main = element("main", { id: "main", tabindex: "-1" })
  app.replaceChildren(bar, element("div", { id: "silence", role: "alert" }), main)
  if (focused) document.getElementById(focused)?.focus()
  state.shell = { main, live, tabs, top: bar, firing: bar.querySelector("#alert-count"), silence: app.querySelector("#silence") }
}
const bare = place => ({ ...place, query: new URLSearchParams(place.query.get("span") ? { span: place.query.get("span") } : {}) })
const forget = () => { const button = element("button", { class: "plain" }, "Forget the key"); button.addEventListener("click", () => { useKey(""); location.reload() }); return button }

/** Fetch the list of deployments, asking for a key where one is needed. False: nobody answers. */
const begin = async () => {
  for (;;) {
    try {
      state.deployments = await get("dashboard/data/deployments")
      return true
    } catch (error) {
      if (!(error instanceof Refused)) return false
      if (error.status !== 401 && error.status !== 403) { failed(error); return false }
      await askForKey(app, hasKey() ? error.message : "", "monitor")
    }
  }
}

/** What stands where nothing can be shown yet. */
const failed = error => app.replaceChildren(element("div", { class: "locked", role: "alert" }, element("h1", {}, error instanceof Refused ? "The server cannot show this" : "Nobody answers"),
  element("p", {}, error instanceof Refused ? error.message : "The server of this page does not answer. It is asked again every few seconds."), error.told?.fix ? element("p", { class: "soft" }, error.told.fix) : null))

/** Ask for what the address says, and show it. `again`: the same view, so that what has not changed is not sent. */
const ask = async again => {
  const { place } = state, view = VIEWS[place.view] ?? overview, paths = view.paths(place), key = paths.join(" ")
  state.asked = Date.now()
  state.asking?.abort()
  const asking = state.asking = new AbortController(), timer = setTimeout(() => asking.abort(), PATIENCE_MS)
  try {
    const answers = await Promise.all(paths.map(path => get(path, { again: again && state.key === key, signal: asking.signal })))
    if (asking !== state.asking) return
    const changed = !state.shown || state.key !== key || answers.some(answer => answer !== null)
    state.held = answers.map((answer, number) => answer ?? state.held[number])
    state.key = key
    heard()
    if (changed) state.shown = show(view, place, again)
  } catch (error) {
    if (asking !== state.asking) return
    if (error instanceof Refused) refused(error, again)
    else silent()
  } finally {
    clearTimeout(timer)
  }
}

const refused = async (error, again) => {
  heard()
  if (error.status === 401) { if (await begin()) { shell(); ask(false) } return }
  if (error.status === 503 && again) { state.shell.live.textContent = error.message; return }
  state.key = ""
  state.shell.main.replaceChildren(element("div", { class: "empty" }, element("h1", {}, error.status === 404 ? "Not here" : "This cannot be shown"), element("p", {}, error.message), error.told?.fix ? element("p", { class: "soft" }, error.told.fix) : null,
    element("p", {}, element("a", { href: "#/" }, "To the overview"))))
}

/** There is news: say when, take back that there was none. */
const heard = () => {
  const was = state.silent
  state.heard = Date.now()
  state.silent = false
  state.shell.live.replaceChildren(element("span", { class: "beat", "aria-hidden": "true" }), document.hidden ? "" : "Live, ", text.time(state.heard, text.second))
  if (was) { state.shell.silence.replaceChildren(); document.body.classList.remove("silent"); titled() }
}

/** Nobody answers: what is shown stays, and says since when it is old. */
const silent = () => {
  if (!state.shell) return
  const first = !state.silent
  state.silent = true
  document.body.classList.add("silent")
  state.shell.live.replaceChildren("No news")
  if (first) {
    state.shell.silence.replaceChildren(element("p", {}, element("strong", {}, state.heard ? ["No news since ", text.time(state.heard), "."] : "No news."), " The server does not answer. What stands here is from then; it is asked again every few seconds. ", element("span", { id: "old", "aria-hidden": "true" })))
    titled()
  }
}
const titled = () => { const view = VIEWS[state.place.view] ?? overview; document.title = `${state.silent ? "No news · " : ""}${view.title(state.place)} · Portside` }

/** Put a view in its place; what was opened stays open, and the focus and the scroll stay where they were. False: not now. */
const show = (view, place, again) => {
  const { main, tabs, firing } = state.shell, open = new Set([...main.querySelectorAll("details[open]")].map(one => one.dataset.keep))
  const focused = document.activeElement?.dataset?.keep ?? (document.activeElement?.closest?.("details")?.dataset.keep && `summary ${document.activeElement.closest("details").dataset.keep}`)
  if (again && main.contains(document.activeElement) && /^(INPUT|SELECT)$/.test(document.activeElement.tagName)) return false // somebody writes: not under their hands
  main.replaceChildren(...view.view(place, state.held).flat(Infinity).filter(Boolean))
  for (const one of main.querySelectorAll("details[data-keep]")) if (open.has(one.dataset.keep)) { one.open = true }
  if (again && focused) (focused.startsWith("summary ") ? main.querySelector(`details[data-keep="${CSS.escape(focused.slice(8))}"] > summary`) : main.querySelector(`[data-keep="${CSS.escape(focused)}"]`))?.focus({ preventScroll: true })
  for (const tab of tabs.children) tab.dataset.view === (UNDER[place.view] ?? place.view) ? tab.setAttribute("aria-current", "page") : tab.removeAttribute("aria-current")
  const fired = state.held[0]?.alerts?.filter(alert => alert.state === "firing"), fires = fired?.length
  if (fires !== undefined) firing.replaceChildren(fires ? element("span", { class: fired.some(alert => alert.severity === "critical") ? "bad" : "" }, ` ${fires}`, element("span", { class: "only-read" }, " fire")) : "")
  titled()
  if (!again) { if (!state.shell.top.contains(document.activeElement)) main.focus({ preventScroll: true }); scrollTo(0, 0) }
  return true
}

const go = () => {
  state.place = places.read(location.hash)
  if (!state.place.deployment) state.place.deployment = state.deployments.deployments[0]?.name ?? ""
  shell()
  if (!state.place.deployment) { state.shell.main.replaceChildren(element("div", { class: "empty" }, element("h1", {}, "No deployment"), element("p", {}, "This key may see none of the deployments here."))); return }
  state.shell.main.replaceChildren(element("p", { class: "soft loading" }, "Being fetched …"))
  ask(false)
}

const start = async () => {
  while (!await begin()) { if (!app.querySelector("[role=alert]")) failed(new TypeError()); await new Promise(done => setTimeout(done, EVERY_MS)) }
  addEventListener("hashchange", go)
  document.addEventListener("visibilitychange", () => { if (!document.hidden && state.shell) ask(true) })
  document.addEventListener("click", event => { // to a section of this view, without touching the address
    const id = event.target.closest?.("a[data-section]")?.dataset.section
    if (event.target.closest?.(".skip")) { event.preventDefault(); state.shell?.main.focus() }
    if (id) { event.preventDefault(); document.getElementById(id)?.scrollIntoView(); document.getElementById(`${id}-title`)?.setAttribute("tabindex", "-1"); document.getElementById(`${id}-title`)?.focus({ preventScroll: true }) }
  })
  setInterval(() => {
    const every = (VIEWS[state.place.view] ?? overview).every?.(state.place) ?? EVERY_MS
    if (document.hidden || Date.now() - state.asked < every - 500) return
    if (state.key) ask(true)
    else if (state.silent) ask(false)
  }, EVERY_MS)
  setInterval(() => { const old = document.getElementById("old"); if (old && state.heard) old.textContent = `(${text.ago(Date.now() - state.heard)} ago)` }, 1000)
  go()
}
start()
