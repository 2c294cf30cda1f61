// What the page says of itself: is the server there, how far are we, what was decided last; and what it keeps in the browser.
import { element } from "./api.js"
import { uuid7 } from "./outbox.js"

const NAME = "portside.reviewer", SEAT = "portside.review.seat"
const at = id => document.getElementById(id)

/** A store that works where the browser keeps nothing, for as long as the page lives. */
const memory = () => {
  const held = {}
  return { getItem: key => held[key] ?? null, setItem: (key, value) => { held[key] = value }, removeItem: key => { delete held[key] } }
}
const usable = name => { try { window[name].setItem(SEAT + ".try", "1"); window[name].removeItem(SEAT + ".try"); return window[name] } catch { return memory() } }
const local = usable("localStorage"), tab = usable("sessionStorage")

/** The reviewer's name stays in this browser, the seat in this tab: a page that is loaded again goes on with what it held. */
export const kept = {
  storage: local,
  name: () => local.getItem(NAME) ?? "",
  setName: name => name ? local.setItem(NAME, name) : local.removeItem(NAME),
  seat: () => { const seat = tab.getItem(SEAT) ?? uuid7(); tab.setItem(SEAT, seat); return seat },
}

/** Say something to a screen reader; the same words twice are said twice. */
export const say = text => {
  const spoken = at("spoken")
  spoken.replaceChildren()
  requestAnimationFrame(() => { spoken.textContent = text })
}

export const trouble = text => { if (at("trouble").textContent !== text) at("trouble").textContent = text }

/** The line under the header: only there while something is wrong. */
export const connection = (outbox, fault, again) => {
  const line = at("connection"), gone = outbox.fault ?? fault
  const lost = gone && !(gone.status >= 400 && gone.status < 500)
  const wait = outbox.waiting === 1 ? "1 answer is kept here until it is there again." : outbox.waiting ? `${outbox.waiting} answers are kept here until it is there again.` : "The page tries again by itself."
  const text = lost ? `The server does not answer. ${wait}` : ""
  document.body.classList.toggle("lost", Boolean(lost))
  if (line.dataset.text === text) return
  const was = line.dataset.text
  line.dataset.text = text
  if (!lost) { line.replaceChildren(); if (was) say(outbox.waiting ? "The server is there again." : "The server is there again. Everything is saved."); return }
  const button = element("button", { type: "button" }, "Try now")
  button.addEventListener("click", again)
  line.replaceChildren(element("span", {}, text), button)
}

export const progress = state => {
  const all = state.today + state.waiting
  at("progress").textContent = state.asked ? `${state.waiting} waiting · ${state.today} done today` : ""
  at("done").style.width = `${all ? 100 * state.today / all : 0}%`
  at("who").textContent = state.reviewer
  at("who").hidden = !state.reviewer
  at("who").setAttribute("aria-label", `Reviewer ${state.reviewer}. Somebody else reviews`)
  document.title = state.waiting ? `(${state.waiting}) Review` : "Review"
}

const MARKS = { sending: ["…", "being sent"], saved: ["✓", "saved"], late: ["✓", "kept as a label; the deadline had passed"] }

/** The last decisions, the newest first. */
export const recent = (lately, undo) => {
  at("lately-title").hidden = !lately.length
  at("lately").replaceChildren(...lately.map((done, place) => {
    const [mark, meaning] = MARKS[done.state], back = element("button", { type: "button", class: "small" }, "Undo")
    back.addEventListener("click", undo)
    return element("li", {}, element("span", { class: "mark", title: meaning, role: "img", "aria-label": meaning }, mark), element("span", { class: "break" }, done.shown),
      element("span", { class: "soft break what" }, brief(done.entry.item)), place ? null : back)
  }))
}

const brief = item => {
  const field = item.fields.find(one => ["word", "text", "number"].includes(one.kind))
  return field ? `${field.name} ${String(field.value).slice(0, 32)}` : item.deployment
}

/** The question for a name, where no key says who is there. */
export const askForName = place => new Promise(resolve => {
  const input = element("input", { id: "name", type: "text", autocomplete: "name", required: "", maxlength: "64", spellcheck: "false" })
  const form = element("form", {}, element("label", { for: "name", class: "only-read" }, "Your name"), input, element("button", { class: "main" }, "Begin"))
  form.addEventListener("submit", event => { event.preventDefault(); if (input.value.trim()) resolve(input.value.trim()) })
  place.replaceChildren(element("div", { class: "locked" }, element("h1", {}, "Who reviews?"), element("p", { class: "soft" }, "Your name stands beside every answer you give. This browser remembers it."), form))
  input.focus()
})
