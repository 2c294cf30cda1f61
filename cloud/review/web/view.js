// Puts an entry on the screen, or says why there is none.
import { element } from "./api.js"
import { described } from "./stage.js"
import { at, now, state } from "./state.js"
import { progress, say, trouble } from "./status.js"

const EMPTY = {
  fetching: ["", "", "The next one is on its way …"],
  done: ["All done", "Nothing waits for you.", "New items appear here by themselves."],
  lost: ["The server does not answer", "No item could be fetched.", "The page tries again by itself."],
  paused: ["Paused", "Paused.", "What you had open is given back to the others."],
}

/** Show an entry. `because`: what went wrong that it is here (again). */
export const show = (entry, because = "") => {
  state.current = entry
  state.since = performance.now()
  state.empty = null
  trouble(because)
  at("said").value = ""
  noting(false)
  if (!entry) return blank("fetching")
  at("stage").replaceChildren(entry.stage)
  at("answers").replaceChildren(entry.answers)
  at("question").textContent = entry.item.question
  about()
  at("stage").scrollTop = 0
  const typed = entry.item.candidates.length ? null : entry.answers.querySelector("input, textarea")
  const place = typed && matchMedia("(hover: hover)").matches ? typed : at("question")
  place.focus({ preventScroll: true })
  if (state.awaiting !== null) measure(entry, state.awaiting)
  state.awaiting = null
  draw()
}

/** From a key to the next item on the screen, its picture too: for whoever looks into the browser's performance tools. */
const measure = (entry, start) => entry.loaded.then(() => requestAnimationFrame(() => setTimeout(() => performance.measure("portside-next", { start }))))

/** Nothing to show: "fetching", "done", "lost" or "paused". */
export const blank = why => {
  if (state.empty === why) return
  state.empty = why
  const [title, large, soft] = EMPTY[why]
  at("stage").replaceChildren(element("div", { class: "empty" }, element("p", { class: "large" }, large), element("p", { class: "soft" }, soft)))
  at("question").textContent = title
  at("about").textContent = ""
  at("answers").replaceChildren()
  if (why !== "fetching") say(title)
  draw()
}

/** The line below the question: why one is asked, and how long there is. */
export const about = () => {
  if (!state.current) return
  const { item } = state.current, left = item.deadline_ms ? Math.round((item.deadline_ms - now()) / 1000) : null
  const time = left === null ? "" : left <= 0 ? "Its time has passed; your answer is kept as a label." : `Answers itself in ${left >= 120 ? `${Math.round(left / 60)} min` : `${left} s`}.`
  const parts = [item.reason ? `Asked because ${item.reason}.` : "", item.blind ? "The model's answer is hidden." : "", item.skipped ? "You skipped this before." : "", time]
  const text = parts.filter(Boolean).join(" ")
  if (at("about").textContent !== text) at("about").textContent = text
}

export const noting = open => {
  at("noting").hidden = !open
  at("note").setAttribute("aria-expanded", String(open))
  if (open) at("said").focus()
}

export const draw = () => {
  progress(state)
  at("undo").disabled = !state.asked
  at("skip").disabled = at("note").disabled = !state.current
}

/** "Next: ..." for a screen reader. */
export const upNext = () => state.current ? `Next: ${described(state.current.item)}` : ""
