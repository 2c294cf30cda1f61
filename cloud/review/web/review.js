// The page of reviews: an answer is kept, the next item shown, the answer sent. What the server has not acknowledged waits in the outbox.
import { element, get, useKey } from "./api.js"
import { helpText, listen } from "./keys.js"
import { Outbox, uuid7 } from "./outbox.js"
import { described } from "./stage.js"
import { ask, at, holding, state } from "./state.js"
import { connection, kept, recent, say, trouble } from "./status.js"
import { Supply } from "./supply.js"
import { about, blank, draw, noting, show, upNext } from "./view.js"

const LATELY = 8

const again = () => { outbox.hurry(); supply.renew(); supply.fill() }

const outbox = new Outbox({
  storage: kept.storage, seat: state.seat, send: operation => ask(`${operation.id}/${operation.do}`, operation.body),
  sent: (operation, answer) => acknowledged(operation, answer), refused: (operation, error) => refused(operation, error),
  changed: () => connection(outbox, state.fault, again),
})

// ---- what a person does ----

const decide = (values, shown) => {
  const entry = state.current, note = at("said").value.trim()
  if (!entry) return
  const body = { values, token: uuid7(), took_ms: Math.round(performance.now() - state.since), ...(note ? { note } : {}) }
  const done = { entry, shown, operation: { do: "decide", id: entry.item.id, body }, state: "sending" }
  state.lately.unshift(done)
  state.lately.splice(LATELY).forEach(one => one.entry.stage.close())
  Object.assign(state, { waiting: Math.max(0, state.waiting - 1), today: state.today + 1 })
  outbox.add(done.operation)
  state.awaiting = state.pressed
  supply.next()
  recent(state.lately, undo)
  say(`${shown}. ${upNext()}`)
}

const supply = new Supply({ outbox, decide, again })

const undo = () => {
  const done = state.lately.shift()
  if (!done) return earlier()
  if (state.current) state.ready.unshift(state.current)
  outbox.add({ do: "undo", id: done.entry.item.id, body: { token: done.operation.body.token } })
  Object.assign(state, { waiting: state.waiting + 1, today: Math.max(0, state.today - 1) })
  show(done.entry)
  recent(state.lately, undo)
  say(`Taken back: ${done.shown}. ${described(done.entry.item)}`)
}

/** Take back what was decided before this page was loaded. */
const earlier = async () => {
  try {
    const { decisions: [made] } = await get(`v1/reviews/mine?limit=1&reviewer=${encodeURIComponent(state.reviewer)}`)
    if (!made) return say("There is nothing to take back.")
    const { item } = await ask(`${made.review}/undo`, { token: made.id })
    if (!item) return say("Taken back. Its time has passed, so it is not shown again.")
    if (state.current) state.ready.unshift(state.current)
    show(supply.prepare(item))
    say(`Taken back. ${described(item)}`)
  } catch (error) { await supply.faulty(error) }
}

const skip = () => {
  const entry = state.current
  if (!entry) return
  outbox.add({ do: "skip", id: entry.item.id, body: {} })
  supply.next()
  entry.stage.close()
  say(`Skipped. ${upNext()}`)
}

/** Give back what is open; the outbox goes on. */
const letGo = () => {
  const ids = holding()
  for (const entry of [state.current, ...state.ready].filter(Boolean)) entry.stage.close()
  Object.assign(state, { current: null, ready: [] })
  return ids.length ? ask("release", { ids }).catch(() => {}) : null  // else their leases end by themselves
}

const pause = () => {
  state.paused = !state.paused
  at("pause").textContent = state.paused ? "Go on" : "Pause"
  if (!state.paused) return supply.fill()
  letGo()
  blank("paused")
}

const choose = async () => {
  state.deployment = at("deployment").value
  blank("fetching")
  await letGo()
  supply.fill()
}

// ---- what the server says ----

const acknowledged = (operation, answer) => {
  const done = state.lately.find(one => one.operation.body.token === operation.body.token)
  if (done && operation.do === "decide") done.state = answer.late ? "late" : "saved"
  if (answer.late) say("The deadline had passed; your answer is kept as a label.")
  recent(state.lately, undo)
}

/** The server will not have it: somebody else was first, or the answer does not fit. Then the item is shown again. */
const refused = (operation, error) => {
  const done = state.lately.find(one => one.operation.body.token === operation.body.token)
  state.lately = state.lately.filter(one => one !== done)
  if (operation.do === "skip") return
  const why = `${done?.shown ?? "An answer"} was not taken: ${error.message}`
  if (done && operation.do === "decide" && error.status === 422) {
    if (state.current) state.ready.unshift(state.current)
    show(done.entry, why)
  } else trouble(why)
  recent(state.lately, undo)
}

// ---- start ----

const drawDeployments = () => {
  const select = at("deployment"), names = state.deployments
  if (names.length < 2 || select.childElementCount === names.length + 1) return
  select.replaceChildren(element("option", { value: "" }, "All deployments"), ...names.map(name => element("option", { value: name }, name)))
  select.value = state.deployment
  select.hidden = false
}

const start = () => {
  const note = () => state.current && noting(at("noting").hidden), help = () => helpText(at("keys"))
  listen({ pick: place => Boolean(state.current?.answers.pick(place)), other: () => state.current?.answers.other && state.current.answers.open(), skip, undo, pause, note, help,
    toggle: () => Boolean(state.current?.stage.toggle()), keys: key => Boolean(state.current?.stage.keys(key)) })
  for (const kind of ["keydown", "pointerdown"]) document.addEventListener(kind, event => { state.pressed = event.timeStamp }, true)
  for (const [id, work] of Object.entries({ skip, undo, pause, note, help })) at(id).addEventListener("click", work)
  at("who").addEventListener("click", () => { kept.setName(""); useKey(""); location.reload() })
  at("deployment").addEventListener("change", choose)
  document.addEventListener("visibilitychange", () => { if (!document.hidden) again() })
  addEventListener("online", again)
  addEventListener("beforeunload", event => { if (outbox.waiting) event.preventDefault() })
  setInterval(() => { about(); drawDeployments() }, 1000)
  const tick = () => { supply.renew(); setTimeout(tick, Math.max(1500, state.lease / 4)) }
  setTimeout(tick, 5000)
  draw()
  supply.fill()
}

start()
