// One slice, as a deployment of its own.
import { element } from "./api.js"
import { answersOver } from "./answers.js"
import { fields } from "./fields.js"
import { isUp } from "./overview.js"
import { link, note, section } from "./parts.js"
import * as places from "./places.js"
import { quality } from "./quality.js"
import * as text from "./text.js"

export const title = place => `${place.rest.join("/")} · ${place.deployment}`
export const paths = place => [places.data(place, "slice", { span: places.spanOf(place), name: place.rest.join("/") })]

export const view = (place, [data]) => {
  const [field, value] = data.name.split("=", 2), share = data.rows ? data.right.rows / data.rows : null
  return [element("header", { class: "head" }, element("p", { class: "crumbs" }, link(places.write(place, "overview"), data.deployment), " › slices"), element("h1", { class: "break" }, data.name),
    note(`${text.plural(data.right.rows, "row")}, ${text.share(share)} of all, ${data.span.name} until now. `,
      value !== undefined ? link(places.write(place, "records", [], { value: `${field.replace(/^(in|out)\./, "")}=${value}` }), "Its records") : "")),
  isUp(data), section("who", "Who answered?", answersOver(data)), quality(place, data), fields({ ...place, part: data.name }, data, 12)]
}
