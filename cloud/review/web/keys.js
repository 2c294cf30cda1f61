// Everything by key. Single keys can be switched off, for those whose software types them.
import { element } from "./api.js"

const OFF = "portside.review.keys.off"
const off = () => { try { return localStorage.getItem(OFF) === "1" } catch { return false } }
const KEYS = [["1 to 9", "pick an answer"], ["O", "another answer"], ["S", "skip: leave it to others"], ["U or Ctrl+Z", "take the last answer back"], ["N", "write a note"],
  ["Space", "play or pause a sound"], ["+ and −", "zoom; arrows move, F fits"], ["P", "pause, and give back what you hold"], ["?", "this help"], ["Esc", "leave a field"]]

/** Call what a key stands for. `does`: pick, other, skip, undo, note, toggle, keys, pause, help. */
export const listen = does => document.addEventListener("keydown", event => {
  const { key, target } = event, typing = target.closest("input, textarea, select"), dialog = document.querySelector("dialog[open]")
  if (key === "Escape" && typing && !dialog) { target.blur(); return }
  if (typing || dialog || event.altKey || event.isComposing) return
  if ((event.ctrlKey || event.metaKey) && key === "z") { event.preventDefault(); does.undo(); return }
  if (event.ctrlKey || event.metaKey || off()) return
  if (act(does, key, event.repeat, target)) event.preventDefault()
})

const act = (does, key, repeat, target) => {
  if (does.keys(key)) return true
  if (repeat) return false
  if (/^[1-9]$/.test(key)) return does.pick(Number(key) - 1)
  if (key === " ") return target.closest("button, a, audio, summary") ? false : does.toggle()
  const work = { o: does.other, s: does.skip, u: does.undo, n: does.note, p: does.pause, "?": does.help }[key.toLowerCase()]
  if (!work) return false
  work()
  return true
}

export const helpText = dialog => {
  const box = element("input", { type: "checkbox", id: "keys-off" }), close = element("button", { class: "main" }, "Close")
  box.checked = !off()
  box.addEventListener("change", () => { try { localStorage.setItem(OFF, box.checked ? "0" : "1") } catch { /* for this page only */ } })
  close.addEventListener("click", () => dialog.close())
  dialog.replaceChildren(element("h2", { id: "keys-title" }, "Keys"),
    element("dl", {}, KEYS.map(([key, what]) => [element("dt", {}, element("kbd", {}, key)), element("dd", {}, what)])),
    element("p", { class: "check" }, box, element("label", { for: "keys-off" }, "Single keys work")), close)
  dialog.showModal()
}
