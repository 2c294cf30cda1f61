"""The page at /docs: reads /openapi.json of the same server and lets one try a request. No library, no other host."""
# ruff: noqa: E501

import hashlib
from base64 import b64encode

PAGE = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>Portside service</title>
<style>
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); --soft: color-mix(in srgb, currentColor 6%, transparent) }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { margin-bottom: 0 } h2 { margin-top: 2rem; font-size: 1.15rem }
code, pre, textarea { font: 14px/1.45 ui-monospace, monospace }
pre, textarea { background: var(--soft); border: 1px solid var(--line); border-radius: 6px; padding: .75rem; overflow: auto }
textarea { width: 100%; min-height: 4rem; box-sizing: border-box; color: inherit }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top }
button, select { font: inherit; padding: .4rem 1.2rem; margin: .5rem 0; cursor: pointer }
</style>
<h1 id="title">Service</h1><p id="about"></p>
<p id="locked" hidden><label for="key">This server asks for a key: </label><input id="key" type="password" autocomplete="off"> <button id="open">Use it</button> <span id="why" role="status"></span></p>
<p id="several" hidden><label for="which">Deployment: </label><select id="which"></select></p>
<h2>Inputs</h2><table><thead><tr><th>field</th><th>one row's value</th></tr></thead><tbody id="fields"></tbody></table>
<h2>Try it</h2><label for="body">A request to <code id="asked">POST /predict</code></label>
<textarea id="body" spellcheck="false"></textarea><button id="go">Send</button><pre id="answer" aria-live="polite">The answer appears here.</pre>
<p>In a terminal:</p><pre id="curl"></pre>
<h2>All routes</h2><table><tbody id="routes"></tbody></table>
<p><a href="openapi.json">openapi.json</a></p>
<script>
const put = (id, text) => { document.getElementById(id).textContent = text }
const line = (id, cells) => {
  const row = document.getElementById(id).insertRow()
  for (const cell of cells) { const code = document.createElement("code"); code.textContent = cell; row.insertCell().append(code) }
}
const kind = s => s.type === "array" ? (s.minItems === s.maxItems && s.minItems ? s.minItems + " x " : "list of ") + kind(s.items) : [].concat(s.type).join(" | ")
const size = s => s.type === "array" ? (s.minItems || 1) * size(s.items) : 1
const sample = (s, whole = size(s) <= 50000) => {  // beyond that a shell takes no such argument, and a page shows no such text
  if (s.type === "array") return Array.from({ length: whole ? s.minItems || 1 : Math.min(s.minItems || 1, 8) }, () => sample(s.items, whole))
  if (s.examples) return s.examples[0]
  const type = [].concat(s.type)[0]
  return type === "string" ? "" : type === "boolean" ? false : 0
}
const mine = () => { const key = document.getElementById("key").value.trim(); return key ? { authorization: "Bearer " + key } : {} }
const load = async () => {
  const reply = await fetch("openapi.json", { headers: mine() }), api = await reply.json()
  document.getElementById("locked").hidden = reply.ok && !mine().authorization
  put("why", reply.ok || !mine().authorization ? "" : api.what)
  if (reply.ok) show(api)
}
const which = document.getElementById("which")
let known
const show = api => {
  known = api
  put("title", api.info.title); put("about", api.info.description + " Version " + api.info.version)
  document.getElementById("routes").replaceChildren()
  for (const [path, methods] of Object.entries(api.paths)) for (const [method, what] of Object.entries(methods)) line("routes", [method.toUpperCase(), path, what.summary])
  const doors = Object.keys(api.paths).filter(path => path.startsWith("/predict/")), before = which.value
  which.replaceChildren(...(doors.length ? doors : ["/predict"]).map(path => new Option(path.slice(9), path)))
  if (doors.includes(before)) which.value = before
  document.getElementById("several").hidden = !doors.length
  offer()
}
const offer = () => {
  const api = known, door = which.value
  document.getElementById("fields").replaceChildren()
  put("asked", "POST " + door)
  const forms = api.paths[door].post.requestBody.content["application/json"].schema.oneOf
  const row = forms.find(f => f.properties.row).properties.row, example = {}
  for (const [name, schema] of Object.entries(row.properties)) {
    line("fields", [name, kind(schema) + (schema.description ? " (" + schema.description + ")" : "")]); example[name] = sample(schema)
  }
  const body = document.getElementById("body"), url = new URL(door.slice(1), location)
  body.value = JSON.stringify({ row: example }, null, 1).replace(/\\[\\n[^\\[\\]{}"]*\\]/g, list => list.replace(/\\s+/g, "").replaceAll(",", ", "))
  body.rows = Math.min(body.value.split("\\n").length + 1, 24)
  const photos = Object.entries(row.properties).filter(([, schema]) => /image file/.test(schema.description)).map(([name]) => name)
  put("curl", photos.length ? "curl " + photos.map(name => "-F " + name + "=@" + name + ".png ").join("") + url
    : "curl -H 'content-type: application/json' -d '" + JSON.stringify({ row: example }) + "' " + url)
}
load()
which.onchange = offer
document.getElementById("open").onclick = load
document.getElementById("go").onclick = async () => {
  const answer = await fetch(which.value.slice(1), { method: "POST", headers: { "content-type": "application/json", ...mine() }, body: document.getElementById("body").value })
  put("answer", answer.status + "\\n" + JSON.stringify(await answer.json(), null, 2))
}
</script></html>
"""


def _source(tag: bytes) -> str:
    """The one inline element of this kind, as a policy names it: by the digest of its text."""
    text = PAGE.split(b"<" + tag + b">", 1)[1].split(b"</" + tag + b">", 1)[0]
    return f"'sha256-{b64encode(hashlib.sha256(text).digest()).decode()}'"


PAGE_HEADERS = (
    (b"content-security-policy",
     f"default-src 'none'; script-src {_source(b'script')}; style-src {_source(b'style')}; connect-src 'self'; "
     "base-uri 'none'; form-action 'none'; frame-ancestors 'none'".encode()),
    (b"x-frame-options", b"DENY"), (b"referrer-policy", b"no-referrer"),
)  # fmt: skip
"""What a browser may do with the page: run its own script, ask this server, and stand in no frame."""
