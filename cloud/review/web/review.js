// The page of reviews: shows an item, takes an answer, goes on at once. What the server has not acknowledged waits in the outbox.
import { Refused, askForKey, element, post, useKey } from "./api.js"
import { answering } from "./answers.js"
import { helpText, listen } from "./keys.js"
import { Outbox, uuid7 } from "./outbox.js"
import { described, staged } from "./stage.js"
import { askForName, connection, kept, progress, recent, say, trouble } from "./status.js"

const AHEAD = 2, LATELY = 8, POLL_MS = 3000, PATIENCE_MS = 15000
const at = id => document.getElementById(id)
const state = { reviewer: kept.name(), seat: kept.seat(), deployment: "", current: null, ready: [], lately: [], lease: 60000, waiting: 0, today: 0, paused: false, fault: null }
const ask = (path, body) => post(`v1/reviews/${path}`, { ...body, seat: state.seat, ...(state.reviewer ? { reviewer: state.reviewer } : {}) }, { signal: AbortSignal.timeout(PATIENCE_MS) })

const outbox = new Outbox({
  storage: kept.storage, seat: state.seat, send: operation => ask(`${operation.id}/${operation.do}`, operation.body),
  sent: (operation, answer) => acknowledged(operation, answer), refused: (operation, error) => refused(operation, error),
  changed: () => { connection(outbox, state.fault, again); draw() },
})

// ---- items ----

const prepare = item => {
  const stage = staged(item)
  const entry = { item, stage, answers: answering(item, (value, shown, event) => decide({ [item.output]: value }, shown, event)) }
  entry.loaded = stage.ready
  return entry
}

const holding = () => [state.current, ...state.ready].filter(Boolean).map(entry => entry.item.id)

/** Have the shown item and some more ready. One request at a time. */
const refill = async () => {
  if (state.filling || state.paused || state.ready.length >= AHEAD) return
  state.filling = true
  try {
    const want = AHEAD + (state.current ? 0 : 1) - state.ready.length
    const undone = outbox.operations.map(operation => operation.id)
    const told = await ask("lease", { want, have: [...holding(), ...undone].slice(0, 16), deployment: state.deployment })
    Object.assign(state, { lease: told.lease_ms, reviewer: told.reviewer, fault: null, asked: true })
    count(told)
    outbox.adopt(told.reviewer)
    state.ready.push(...told.items.filter(item => ![...holding(), ...undone].includes(item.id)).map(prepare))
    if (!state.current) next()
  } catch (error) { await faulty(error) } finally { state.filling = false }
  connection(outbox, state.fault, again)
  if (!state.current && !state.paused) { nothing(); setTimeout(refill, POLL_MS) }
}

const count = told => {
  state.waiting = told.counts.pending + told.counts.leased - outbox.operations.filter(one => one.do === "decide").length
  state.today = told.today + outbox.operations.filter(one => one.do === "decide").length
}

/** Show the next item that is ready. */
const next = () => { show(state.ready.shift() ?? null); refill() }

const show = (entry, because = "") => {
  state.current = entry
  state.since = performance.now()
  trouble(because)
  at("said").value = ""
  noting(false)
  if (!entry) return draw()
  const { item } = entry
  at("stage").replaceChildren(entry.stage)
  at("answers").replaceChildren(entry.answers)
  at("question").textContent = item.question
  about(item)
  at("stage").scrollTop = 0
  at("question").focus({ preventScroll: innerWidth > 720 })
  draw()
}

const about = item => {
  const left = item.deadline_ms ? Math.max(0, Math.round((item.deadline_ms - Date.now()) / 1000)) : null
  const parts = [item.reason ? `Asked because ${item.reason}.` : "", item.blind ? "The model's answer is hidden." : "", item.skipped ? "You skipped this before." : "",
    left === null ? "" : left > 0 ? `Answers itself in ${left >= 120 ? `${Math.round(left / 60)} min` : `${left} s`}.` : "Its time has passed; your answer is kept as a label."]
  at("about").textContent = parts.filter(Boolean).join(" ")
}

const nothing = () => {
  at("stage").replaceChildren(element("div", { class: "empty" }, element("p", { class: "large" }, state.fault ? "No item could be fetched." : "Nothing waits for you."),
    element("p", { class: "soft" }, state.fault ? "The page tries again by itself." : "New items appear here by themselves.")))
  at("question").textContent = state.fault ? "The server does not answer" : "All done"
  at("about").textContent = ""
  at("answers").replaceChildren()
  if (!state.emptied) say(at("question").textContent)
  state.emptied = true
}

// ---- what a person does ----

const decide = (values, shown, event) => {
  const entry = state.current
  if (!entry) return
  const pressed = event?.timeStamp ?? performance.now(), note = at("said").value.trim()
  const body = { values, token: uuid7(), took_ms: Math.round(performance.now() - state.since), ...(note ? { note } : {}) }
  const done = { entry, shown, operation: { do: "decide", id: entry.item.id, body }, state: "sending" }
  state.lately.unshift(done)
  state.lately.splice(LATELY).forEach(one => one.entry.stage.close())
  Object.assign(state, { waiting: Math.max(0, state.waiting - 1), today: state.today + 1, emptied: false })
  outbox.add(done.operation)
  next()
  say(`${shown}. ${state.current ? `Next: ${described(state.current.item)}` : ""}`)
  if (state.current) state.current.loaded.then(() => requestAnimationFrame(() => setTimeout(() => performance.measure("portside-next", { start: pressed }))))
}

const undo = async () => {
  const done = state.lately.shift()
  if (!done) return earlier()
  if (state.current) state.ready.unshift(state.current)
  outbox.add({ do: "undo", id: done.entry.item.id, body: { token: done.operation.body.token } })
  Object.assign(state, { waiting: state.waiting + 1, today: Math.max(0, state.today - 1) })
  show(done.entry)
  say(`Taken back: ${done.shown}. ${described(done.entry.item)}`)
}

/** Take back what was decided before this page was loaded. */
const earlier = async () => {
  try {
    const { get } = await import("./api.js")
    const { decisions: [made] } = await get(`v1/reviews/mine?limit=1&reviewer=${encodeURIComponent(state.reviewer)}`)
    if (!made) return say("There is nothing to take back.")
    const { item } = await ask(`${made.review}/undo`, { token: made.id })
    if (item) { if (state.current) state.ready.unshift(state.current); show(prepare(item)); say(`Taken back. ${described(item)}`) }
  } catch (error) { await faulty(error) }
}

const skip = () => {
  if (!state.current) return
  outbox.add({ do: "skip", id: state.current.item.id, body: {} })
  state.current.stage.close()
  next()
  say(`Skipped. ${state.current ? `Next: ${described(state.current.item)}` : ""}`)
}

const noting = open => {
  at("noting").hidden = !open
  at("note").setAttribute("aria-expanded", String(open))
  if (open) at("said").focus()
}

const pause = async () => {
  state.paused = !state.paused
  at("pause").textContent = state.paused ? "Go on" : "Pause"
  if (!state.paused) { state.emptied = false; return refill() }
  const ids = holding()
  Object.assign(state, { current: null, ready: [] })
  at("stage").replaceChildren(element("div", { class: "empty" }, element("p", { class: "large" }, "Paused."), element("p", { class: "soft" }, "What you had open is given back to the others.")))
  at("question").textContent = "Paused"
  at("about").textContent = ""
  at("answers").replaceChildren()
  say("Paused")
  await ask("release", { ids }).catch(() => {})  // else their leases end by themselves
}

// ---- what the server says ----

const acknowledged = (operation, answer) => {
  const done = state.lately.find(one => one.operation === operation || one.operation.body.token === operation.body.token)
  if (done && operation.do === "decide") { done.state = answer.late ? "late" : "saved"; if (answer.late) say("The deadline had passed; your answer is kept as a label.") }
  draw()
}

/** The server will not have it: somebody else was first, or the answer does not fit. Said, and the item shown again where it is still ours. */
const refused = (operation, error) => {
  const done = state.lately.find(one => one.operation.body.token === operation.body.token)
  if (done) state.lately = state.lately.filter(one => one !== done)
  if (operation.do === "skip") return
  if (done && operation.do === "decide" && error.status === 422) {
    if (state.current) state.ready.unshift(state.current)
    show(done.entry, `${done.shown} was not taken: ${error.message}`)
  } else trouble(`${done?.shown ?? "An answer"} was not taken: ${error.message}`)
  draw()
}

/** No key, no name, or no server. */
const faulty = async error => {
  state.fault = error
  if (!(error instanceof Refused)) return
  if (error.status === 401 || error.status === 403) {
    await gate(() => askForKey(at("gate"), error.status === 403 ? error.message : state.asked ? "The key is no longer taken." : "", "review"))
    state.fault = null
    outbox.hurry()
  } else if (error.told.field === "reviewer") {
    useNameOf(await gate(() => askForName(at("gate"))))
  } else trouble(error.message)
}

const useNameOf = name => { state.reviewer = name; kept.setName(name); state.fault = null }

const gate = async question => {
  at("work").hidden = true
  at("gate").hidden = false
  const answer = await question()
  at("gate").hidden = true
  at("work").hidden = false
  return answer
}

/** Hold on to what is shown and ready; let go of what somebody else has meanwhile. */
const renew = async () => {
  const ids = holding()
  if (!ids.length || document.hidden) return
  try {
    const { held } = await ask("renew", { ids })
    state.fault = null
    state.ready = state.ready.filter(entry => held.includes(entry.item.id) || !ids.includes(entry.item.id))
    const lost = state.current && ids.includes(state.current.item.id) && !held.includes(state.current.item.id)
    if (lost && !outbox.operations.some(operation => operation.id === state.current.item.id)) { next(); trouble("The item before was given to somebody else, or answered itself.") }
  } catch (error) { if (!(error instanceof Refused)) state.fault = error }
  connection(outbox, state.fault, again)
}

const again = () => { outbox.hurry(); renew(); refill() }

const draw = () => {
  progress(state)
  recent(state.lately, undo)
  at("undo").disabled = !state.reviewer
  at("skip").disabled = at("note").disabled = !state.current
}

// ---- start ----

const start = () => {
  listen({ pick: place => state.current?.answers.pick(place), other: () => state.current?.answers.other && state.current.answers.open(), skip, undo, pause,
    note: () => state.current && noting(at("noting").hidden), toggle: () => state.current?.stage.toggle(), keys: key => state.current?.stage.keys(key), help: () => helpText(at("keys")) })
  at("skip").addEventListener("click", skip)
  at("undo").addEventListener("click", undo)
  at("pause").addEventListener("click", pause)
  at("note").addEventListener("click", () => noting(at("noting").hidden))
  at("help").addEventListener("click", () => helpText(at("keys")))
  at("who").addEventListener("click", () => { kept.setName(""); useKey(""); location.reload() })
  document.addEventListener("visibilitychange", () => { if (!document.hidden) again() })
  addEventListener("online", again)
  addEventListener("beforeunload", event => { if (outbox.waiting) event.preventDefault() })
  setInterval(() => state.current && about(state.current.item), 1000)
  const tick = () => { renew(); setTimeout(tick, Math.max(1500, state.lease / 4)) }
  setTimeout(tick, 5000)
  draw()
  refill()
}

start()
