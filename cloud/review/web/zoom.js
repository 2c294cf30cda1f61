// A picture that can be looked at closely: wheel, pinch, drag, double click, buttons, keys. At rest it fits its frame.
import { element } from "./api.js"

const MOST = 40, STEP = 1.4, PAN = 60, TITLE = 26

/** A frame with the picture; `ready` resolves when it can be shown without a gap. */
export const zoomable = (content, name) => {
  const image = element("img", { alt: `Picture: ${name}`, draggable: "false" })
  const frame = element("div", { class: "frame", tabindex: "0", role: "group", "aria-label": `Picture ${name}. Plus and minus zoom, arrows move, F fits.` }, image)
  const level = element("output", { class: "level number soft", "aria-label": "Zoom" })
  const view = { frame, image, level, scale: 1, x: 0, y: 0 }
  const button = (label, text, work) => { const made = element("button", { type: "button", "aria-label": label }, text); made.addEventListener("click", work); return made }
  const tools = element("div", { class: "zoom" }, button("Zoom out", "−", () => by(view, 1 / STEP)), level, button("Zoom in", "+", () => by(view, STEP)),
    button("Fit to the frame", "Fit", () => fit(view)))
  follow(view)
  const watch = new ResizeObserver(() => { if (view.scale <= 1) fit(view); else place(view) })
  watch.observe(frame)
  const box = element("figure", { class: "picture" }, frame, tools)
  box.keys = key => keys(view, key)
  box.close = () => { watch.disconnect(); URL.revokeObjectURL(image.src) }
  box.ready = content.then(file => { image.src = URL.createObjectURL(file); return image.decode() }).then(() => {
    image.alt = `Picture: ${name}, ${image.naturalWidth} by ${image.naturalHeight} pixels`
    fit(view)
  })
  return box
}

/** Pixels of the frame per pixel of the picture, when it fits. */
const fitting = ({ frame, image }) => Math.min(frame.clientWidth / image.naturalWidth, frame.clientHeight / image.naturalHeight) || 1

const fit = view => {
  const { frame, image } = view
  const part = frame.closest(".part")  // as high as the picture wants at this width, less where the screen is not
  if (image.naturalWidth && part) part.style.flexBasis = `${TITLE + frame.clientWidth * image.naturalHeight / image.naturalWidth}px`
  Object.assign(view, { scale: 1, x: 0, y: 0 })
  place(view)
}

/** Draw; keeps the picture from leaving its frame. */
const place = view => {
  const { frame, image } = view, whole = fitting(view) * view.scale
  if (!image.naturalWidth || !frame.clientWidth) return
  const wide = image.naturalWidth * whole, high = image.naturalHeight * whole
  const room = (size, space) => Math.max(0, (size - space) / 2)
  view.x = Math.min(room(wide, frame.clientWidth), Math.max(-room(wide, frame.clientWidth), view.x))
  view.y = Math.min(room(high, frame.clientHeight), Math.max(-room(high, frame.clientHeight), view.y))
  image.style.width = `${wide}px`
  image.style.height = `${high}px`
  image.style.transform = `translate(-50%, -50%) translate(${view.x}px, ${view.y}px)`
  image.classList.toggle("pixels", whole >= 4)
  view.level.value = `${Math.round(whole * 100)} %`
  frame.classList.toggle("near", view.scale > 1)
}

/** Zoom by a factor; the point (x, y) of the frame, counted from its middle, stays where it is. */
const by = (view, factor, x = 0, y = 0) => {
  const scale = Math.min(MOST, Math.max(1, view.scale * factor)), grown = scale / view.scale
  Object.assign(view, { scale, x: x - (x - view.x) * grown, y: y - (y - view.y) * grown })
  place(view)
}

const keys = (view, key) => {
  const moves = { ArrowLeft: [PAN, 0], ArrowRight: [-PAN, 0], ArrowUp: [0, PAN], ArrowDown: [0, -PAN] }[key]
  if (key === "+" || key === "=") by(view, STEP)
  else if (key === "-") by(view, 1 / STEP)
  else if (key === "f" || key === "F") fit(view)
  else if (moves && view.scale > 1) { view.x += moves[0]; view.y += moves[1]; place(view) }
  else return false
  return true
}

const middle = (view, event) => {
  const box = view.frame.getBoundingClientRect()
  return [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2]
}

/** Wheel, drag, pinch and double click. */
const follow = view => {
  const { frame } = view, fingers = new Map()
  frame.addEventListener("wheel", event => {
    event.preventDefault()
    by(view, Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0018)), ...middle(view, event))
  }, { passive: false })
  frame.addEventListener("dblclick", event => view.scale > 1 ? fit(view) : by(view, Math.max(2, 1 / fitting(view)), ...middle(view, event)))
  frame.addEventListener("pointerdown", event => { frame.setPointerCapture(event.pointerId); fingers.set(event.pointerId, event) })
  frame.addEventListener("pointermove", event => {
    const before = fingers.get(event.pointerId)
    if (!before) return
    const other = [...fingers.values()].find(finger => finger.pointerId !== event.pointerId)
    if (other) {
      const apart = finger => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY)
      by(view, apart(event) / (apart(before) || 1), ...middle(view, other))
    } else { view.x += event.clientX - before.clientX; view.y += event.clientY - before.clientY; place(view) }
    fingers.set(event.pointerId, event)
  })
  for (const kind of ["pointerup", "pointercancel"]) frame.addEventListener(kind, event => fingers.delete(event.pointerId))
}
