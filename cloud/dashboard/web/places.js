// Where the viewer is: the part of the address behind "#", which is all that a view depends on. Pure.

export const DEFAULT_SPAN = "24h"

/** "#/NAME/feature/in.x?span=7d" -> { deployment, view, rest, query }. */
export const read = hash => {
  const [path, asked = ""] = hash.replace(/^#\/?/, "").split("?", 2)
  const [deployment = "", view = "", ...rest] = path.split("/").map(part => { try { return decodeURIComponent(part) } catch { return part } })
  return { deployment, view: view || "overview", rest, query: new URLSearchParams(asked) }
}

/** The opposite, for links. The span is kept from view to view. */
export const write = (place, view, rest = [], query = {}) => {
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined))
  const span = query.span || place.query.get("span")
  if (span && span !== DEFAULT_SPAN) asked.set("span", span)
  else asked.delete("span")
  const path = [place.deployment, ...(view === "overview" && !rest.length ? [] : [view]), ...rest].map(encodeURIComponent).join("/")
  return `#/${path}${asked.size ? `?${asked}` : ""}`
}

export const spanOf = place => place.query.get("span") || DEFAULT_SPAN

/** The address of data. */
export const data = (place, name, query = {}) => `dashboard/data/${name}?${new URLSearchParams({ deployment: place.deployment, ...query })}`
export const records = (place, query) => `v1/records?${new URLSearchParams({ deployment: place.deployment, ...query })}`
