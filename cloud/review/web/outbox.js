// What was decided and is not yet acknowledged: kept in the browser before the page goes on, sent in order, tried until the server has it.
// Every operation may arrive twice: a decision has a token of its own, so the server writes it once.
const PREFIX = "portside.review.outbox."
const ORPHAN_MS = 120000
const PAUSES_MS = [500, 1000, 2000, 4000, 8000]
/** A refusal that no second try changes: the server understood, and said no. */
const final = error => error.status >= 400 && error.status < 500 && ![401, 403, 408, 429].includes(error.status)

export class Outbox {
  /** @param {{storage: Storage, seat: string, send: Function, sent: Function, refused: Function, changed: Function}} parts */
  constructor(parts) {
    Object.assign(this, parts)
    this.operations = this.#read(PREFIX + this.seat)?.operations ?? []
    this.fault = null
    this.tries = 0
  }

  /** Keep an operation, then send it. */
  add(operation) {
    this.operations.push(operation)
    this.#keep()
    this.run()
  }

  /** What other windows left behind when they were closed before the server answered. */
  adopt(reviewer) {
    for (const key of Object.keys(this.storage).filter(key => key.startsWith(PREFIX) && key !== PREFIX + this.seat)) {
      const left = this.#read(key)
      if (!left || (left.reviewer === reviewer && Date.now() - left.at > ORPHAN_MS)) {
        if (left) this.operations.push(...left.operations)
        this.storage.removeItem(key)
      }
    }
    this.reviewer = reviewer
    if (this.operations.length) { this.#keep(); this.run() }
  }

  /** Send what waits, in order; returns when nothing waits or somebody else is at it. */
  async run() {
    if (this.running || !this.reviewer) return
    this.running = true
    while (this.operations.length) {
      const operation = this.operations[0]
      try {
        const answer = await this.send(operation)
        this.#done(operation, null)
        this.sent(operation, answer)
      } catch (error) {
        if (final(error)) { this.#done(operation, null); this.refused(operation, error); continue }
        this.#done(null, error)
        if (error.status === 401 || error.status === 403) break
        await this.#wait()
      }
    }
    this.running = false
  }

  /** Try again now, not after the pause. */
  hurry() { this.wake?.(); this.run() }

  get waiting() { return this.operations.length }

  #done(operation, error) {
    if (operation) { this.operations.shift(); this.#keep() }
    this.tries = error ? this.tries + 1 : 0
    this.fault = error
    this.changed()
  }

  #wait() {
    const pause = PAUSES_MS[Math.min(this.tries - 1, PAUSES_MS.length - 1)]
    return new Promise(resolve => { const timer = setTimeout(resolve, pause); this.wake = () => { clearTimeout(timer); resolve() } })
  }

  #keep() {
    const key = PREFIX + this.seat
    try {
      if (!this.operations.length) this.storage.removeItem(key)
      else this.storage.setItem(key, JSON.stringify({ at: Date.now(), reviewer: this.reviewer, operations: this.operations }))
    } catch { /* a browser that keeps nothing: what waits lives as long as the page, which warns before it is left */ }
  }

  #read(key) {
    try { return JSON.parse(this.storage.getItem(key)) } catch { return null }
  }
}

/** A UUIDv7 of this moment: works on pages without TLS too, where crypto.randomUUID does not. */
export const uuid7 = (now = Date.now()) => {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  for (let place = 0; place < 6; place += 1) bytes[place] = Math.floor(now / 2 ** (8 * (5 - place))) % 256
  bytes[6] = 0x70 | (bytes[6] & 15)
  bytes[8] = 0x80 | (bytes[8] & 63)
  const hex = Array.from(bytes, byte => byte.toString(16).padStart(2, "0")).join("")
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-")
}
