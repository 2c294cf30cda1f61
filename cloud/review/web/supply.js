// Keeps items ready ahead of the one that is shown, and holds on to them while somebody looks.
import { Refused, askForKey, get, hasKey } from "./api.js"
import { answering } from "./answers.js"
import { staged } from "./stage.js"
import { ask, at, holding, state } from "./state.js"
import { askForName, connection, kept, trouble } from "./status.js"
import { blank, draw, show } from "./view.js"

const AHEAD = 2, POLL_MS = 3000
let poll = null

export class Supply {
  /** @param {{outbox: object, decide: Function, again: Function}} parts */
  constructor(parts) { Object.assign(this, parts) }

  prepare(item) {
    const stage = staged(item)
    return { item, stage, loaded: stage.ready, answers: answering(item, (value, shown) => this.decide({ [item.output]: value }, shown)) }
  }

  /** Show the next item that is ready, and see to more. */
  next() { show(state.ready.shift() ?? null); this.fill() }

  /** Have the shown item and some more ready. One request at a time; where there is none it asks again soon. */
  async fill() {
    if (this.filling || state.paused || (state.current && state.ready.length >= AHEAD)) return
    clearTimeout(poll)
    this.filling = true
    let again = false
    try { await this.meet(); this.take(await ask("lease", this.wanted())) } catch (error) { again = await this.faulty(error) } finally { this.filling = false }
    connection(this.outbox, state.fault, this.again)
    if (again) return this.fill()
    if (!state.current && !state.paused) { blank(state.fault ? "lost" : "done"); poll = setTimeout(() => this.fill(), POLL_MS) }
  }

  /** Who reviews: the name of the key, or where there are no keys a name that is typed once. */
  async meet() {
    if (this.met) return
    const { reviewer } = await get("v1/reviews/mine?limit=1")
    if (!reviewer && !state.reviewer) kept.setName(state.reviewer = await gate(askForName))
    if (reviewer) state.reviewer = reviewer
    this.met = true
  }

  wanted() {
    const sent = this.outbox.operations.map(operation => operation.id)
    return { want: AHEAD + (state.current ? 0 : 1) - state.ready.length, have: [...holding(), ...sent].slice(0, 16), deployment: state.deployment }
  }

  take(told) {
    const sent = this.outbox.operations.map(operation => operation.id), unsent = this.outbox.operations.filter(one => one.do === "decide").length
    Object.assign(state, { lease: told.lease_ms, reviewer: told.reviewer, fault: null, asked: true, skew: told.now_ms - Date.now(),
      waiting: Math.max(0, told.counts.pending + told.counts.leased - unsent), today: told.today + unsent, deployments: told.deployments })
    this.outbox.adopt(told.reviewer)
    state.ready.push(...told.items.filter(item => ![...holding(), ...sent].includes(item.id)).map(item => this.prepare(item)))
    if (!state.current && state.ready.length && !state.paused) this.next()
    draw()
  }

  /** Hold on to what is shown and ready; let go of what somebody else has meanwhile. */
  async renew() {
    const ids = holding()
    if (!ids.length || document.hidden) return
    try {
      const { held } = await ask("renew", { ids }), lost = id => ids.includes(id) && !held.includes(id)
      state.fault = null
      state.ready = state.ready.filter(entry => !lost(entry.item.id))
      const shown = state.current?.item.id
      if (shown && lost(shown) && !this.outbox.operations.some(operation => operation.id === shown)) { this.next(); trouble("The item before was given to somebody else, or answered itself.") }
    } catch (error) { if (!(error instanceof Refused)) state.fault = error }
    connection(this.outbox, state.fault, this.again)
  }

  /** No key, or no server. True: ask again at once. */
  async faulty(error) {
    state.fault = error
    if (!(error instanceof Refused)) return false
    if (error.status === 401 || error.status === 403) {
      await gate(place => askForKey(place, hasKey() ? error.message : "", "review"))
      this.met = false
      state.fault = null
      this.outbox.hurry()
      return true
    }
    trouble(error.message)
    return false
  }
}

/** A question in place of the page. */
const gate = async question => {
  at("work").hidden = true
  at("gate").hidden = false
  const answer = await question(at("gate"))
  at("gate").hidden = true
  at("work").hidden = false
  return answer
}
