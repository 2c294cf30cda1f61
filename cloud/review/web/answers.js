// The answers that can be picked, with a key each, and the field for any other.
import { element, get } from "./api.js"

const SHOWN = 8

/** Buttons for candidates and, behind "Other", a field that fits the output. `choose(value, shown)` is called with the answer. */
export const answering = (item, choose) => {
  const box = element("div", { class: "answering" })
  const buttons = item.candidates.map((candidate, place) => button(candidate, place, choose))
  const other = element("div", { class: "other", hidden: buttons.length > 0 })
  const more = element("button", { type: "button", class: "open", "aria-expanded": "false", "aria-keyshortcuts": "o" }, element("kbd", { "aria-hidden": "true" }, "O"), " Another answer")
  box.open = () => { fill(other, item, choose); other.hidden = false; more.setAttribute("aria-expanded", "true"); other.querySelector("input, textarea")?.focus() }
  more.addEventListener("click", box.open)
  const all = item.answer.kind === "category" && item.answer.count <= buttons.length
  box.append(...buttons, ...(buttons.length && !all ? [more] : []), other)
  if (!buttons.length) fill(other, item, choose)
  box.pick = place => { buttons[place]?.click(); return place < buttons.length }
  box.other = !all
  return box
}

const button = (candidate, place, choose) => {
  const share = candidate.probability
  const made = element("button", { type: "button", class: "candidate", "aria-keyshortcuts": place + 1 }, element("kbd", { "aria-hidden": "true" }, place + 1),
    element("span", { class: "name break" }, candidate.shown), share === null ? null : element("span", { class: "share number soft" }, `${percent(share)} %`))
  if (share !== null) made.style.setProperty("--share", share)
  made.addEventListener("click", event => choose(candidate.value, candidate.shown, event))
  return made
}

const percent = share => share > 0.99 && share < 1 ? (100 * share).toFixed(1) : Math.round(100 * share)

/** The field for an answer that is no candidate; made once. */
const fill = (other, item, choose) => {
  if (other.childElementCount) return
  if (item.answer.kind === "category") categories(other, item, choose)
  else other.append(typed(item, choose))
}

const typed = (item, choose) => {
  const { kind, unit, range, whole } = item.answer
  const input = kind === "any" ? element("textarea", { id: "typed", rows: "3", spellcheck: "false" })
    : element("input", { id: "typed", type: "text", inputmode: kind === "number" ? "decimal" : "text", autocomplete: "off", spellcheck: "false" })
  const wrong = element("p", { class: "bad", role: "alert" })
  const hint = [unit, range ? `${range[0]} to ${range[1]}` : null].filter(Boolean).join(", ")
  const form = element("form", {}, element("label", { for: "typed" }, `${item.output}${hint ? ` (${hint})` : ""}`), input, element("button", { class: "main" }, "Answer"), wrong)
  input.addEventListener("keydown", event => { if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); form.requestSubmit() } })
  form.addEventListener("submit", event => {
    event.preventDefault()
    const value = read(input.value.trim(), kind, whole)
    wrong.textContent = value !== undefined || !input.value.trim() ? "" : whole ? "This is no whole number." : "This is no number."
    if (value !== undefined) choose(value, input.value.trim(), event)
  })
  return form
}

/** The typed text as a value; undefined where it is none. Where nobody says what the output is, JSON is taken for what it says, the rest for text. */
const read = (text, kind, whole) => {
  if (!text) return undefined
  if (kind === "text") return text
  if (kind === "number") { const value = Number(text.replace(",", ".")); return Number.isFinite(value) && (!whole || Number.isInteger(value)) ? value : undefined }
  try { return JSON.parse(text) } catch { return text }
}

/** Every category, found by typing a part of its name. */
const categories = (other, item, choose) => {
  const input = element("input", { id: "typed", type: "search", autocomplete: "off", spellcheck: "false", role: "combobox", "aria-expanded": "true", "aria-controls": "choices", "aria-autocomplete": "list" })
  const list = element("ul", { id: "choices", role: "listbox", "aria-label": "Categories" }), state = { choices: [], at: 0 }
  const draw = () => {
    const words = input.value.trim().toLowerCase()
    state.found = state.choices.filter(choice => choice.shown.toLowerCase().includes(words)).slice(0, SHOWN)
    state.at = Math.min(state.at, Math.max(0, state.found.length - 1))
    list.replaceChildren(...state.found.map((choice, place) => {
      const line = element("li", { role: "option", id: `choice-${place}`, "aria-selected": place === state.at ? "true" : "false" }, choice.shown)
      line.addEventListener("click", event => choose(choice.value, choice.shown, event))
      return line
    }))
    input.setAttribute("aria-activedescendant", state.found.length ? `choice-${state.at}` : "")
  }
  input.addEventListener("input", () => { state.at = 0; draw() })
  input.addEventListener("keydown", event => {
    const move = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (move) { event.preventDefault(); state.at = Math.max(0, Math.min(state.found.length - 1, state.at + move)); draw() }
    if (event.key === "Enter" && state.found?.length) { event.preventDefault(); choose(state.found[state.at].value, state.found[state.at].shown, event) }
  })
  other.append(element("label", { for: "typed" }, "Another answer: type a part of its name"), input, list)
  get(`v1/reviews/${item.id}/choices`).then(told => { state.choices = told.choices; draw() }, error => list.replaceChildren(element("li", { class: "bad" }, error.message)))
}
