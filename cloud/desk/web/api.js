// Asking the server of this page: a key from the person, kept for this tab alone, and JSON both ways. No cookie, no other host.
const KEY = "portside.key"
const held = () => { try { return sessionStorage.getItem(KEY) || "" } catch { return "" } }
const tags = new Map()

export class Refused extends Error {
  constructor(status, told) { super(told.what || `status ${status}`); this.status = status; this.told = told }
}

/** Use this key from now on; an empty one forgets it. */
export const useKey = text => {
  try { text ? sessionStorage.setItem(KEY, text) : sessionStorage.removeItem(KEY) } catch { /* a browser that keeps nothing: asked again on reload */ }
  tags.clear()
}
export const hasKey = () => held() !== ""

const headers = more => ({ ...(held() ? { authorization: `Bearer ${held()}` } : {}), ...more })

/** GET as JSON. With `again`, an answer that has not changed is `null`. Throws Refused, or TypeError where nobody answers. */
export const get = async (path, { again = false, signal } = {}) => {
  const tag = again ? tags.get(path) : undefined
  const reply = await fetch(path, { headers: headers(tag ? { "if-none-match": tag } : {}), cache: "no-store", credentials: "omit", signal })
  if (reply.status === 304) return null
  const data = await reply.json().catch(() => ({}))
  if (!reply.ok) throw new Refused(reply.status, data)
  if (reply.headers.get("etag")) tags.set(path, reply.headers.get("etag"))
  return data
}

/** POST of JSON. Throws Refused, or TypeError where nobody answers. */
export const post = async (path, body, { signal } = {}) => {
  const reply = await fetch(path, { method: "POST", headers: headers({ "content-type": "application/json" }), body: JSON.stringify(body),
    cache: "no-store", credentials: "omit", signal })
  const data = await reply.json().catch(() => ({}))
  if (!reply.ok) throw new Refused(reply.status, data)
  return data
}

/** GET of bytes, such as a picture that needs a key. */
export const file = async (path, { signal } = {}) => {
  const reply = await fetch(path, { headers: headers({}), credentials: "omit", signal })
  if (!reply.ok) throw new Refused(reply.status, await reply.json().catch(() => ({})))
  return reply.blob()
}

/** The same as an address for `src` that lives in this page. */
export const picture = async (path, options) => URL.createObjectURL(await file(path, options))

/** The question for a key, in place of the page's content. Resolves when one was given; says why the last one did not do. */
export const askForKey = (place, why, scope) => new Promise(resolve => {
  const box = element("div", { class: "locked" },
    element("h1", {}, "This server asks for a key"),
    element("p", { class: "soft" }, "It is kept in this tab until the tab is closed, and sent to this server alone. Whoever runs the server makes one:"),
    element("pre", { tabindex: "0" }, `portside keys new NAME --scope ${scope}`))
  const input = element("input", { type: "password", id: "key", autocomplete: "off", spellcheck: "false", required: "" })
  const form = element("form", {}, element("label", { for: "key", class: "only-read" }, "Key"), input, element("button", { class: "main" }, "Use this key"))
  form.addEventListener("submit", event => { event.preventDefault(); useKey(input.value.trim()); resolve() })
  box.append(form, element("p", { role: "status", class: "bad" }, why))
  place.replaceChildren(box)
  input.focus()
})

/** An element with attributes and children; texts stay texts, whatever is in them. */
export const element = (name, attributes = {}, ...children) => {
  const made = document.createElement(name)
  for (const [key, value] of Object.entries(attributes)) if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value)
  made.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false))
  return made
}
