/** A picture: dropped, pasted, picked, taken with the camera, or drawn where the model's pictures are small and grey. */

import { el, icon } from "../element.js";
import { drawn, inverted, layoutOf, raw, sheet, typed } from "../pixels.js";
import { action, card } from "./card.js";
import { board } from "./drawing.js";

const SMALL = 64;

/** Whether a tensor without a codec is a picture. @param {import("./card.js").Description} field */
export function isPicture(field) {
  return field.type === "tensor" && field.spec?.dtype === "u8" && (Boolean(field.spec.canvas) || layoutOf(field.rowShape) !== null);
}

/** @param {import("./card.js").Description} field @param {() => void} changed @returns {import("./card.js").Field} */
export function imageField(field, changed) {
  const layout = layoutOf(field.rowShape);
  const grey = field.step ? field.step.options.mode === "L" : layout?.channels === 1;
  const small = grey && layout !== null && Math.max(layout.height, layout.width) <= SMALL;
  const { node, add, fail } = card(field, layout ? `${layout.width} × ${layout.height} ${grey ? "grey" : "colour"}` : "");
  const photo = photoPart(field, () => (fail(null), changed()), fail);
  const drawing = small ? board(field.name, Boolean(field.bright), () => (fail(null), changed())) : null;
  const invert = small && el("input", { type: "checkbox", checked: Boolean(field.bright) });
  let drawingShown = Boolean(drawing);
  const show = (/** @type {boolean} */ on) => {
    drawingShown = on;
    if (drawing) drawing.node.hidden = !on;
    photo.node.hidden = on;
  };
  if (drawing) {
    const flip = () => {
      drawing.invert(invert.checked);
      photo.invert(invert.checked !== Boolean(field.bright));
      changed();
    };
    invert.addEventListener("change", flip);
    const label = el("label.tick", {}, invert, "Dark on light");
    add(el("div.picture-head", {}, tabs(["Draw", "Photo"], (place) => (show(place === 0), changed())), label));
    add(drawing.node);
  }
  add(photo.node);
  show(drawingShown);
  const canvas = () => (drawingShown && drawing ? (drawing.empty() ? null : drawing.canvas) : photo.canvas());
  return {
    name: field.name, node, fail,
    fill: ({ data, shape }) => {
      const picture = drawn(data, /** @type {import("../pixels.js").Layout} */ (layout ?? layoutOf(shape)));
      if (drawingShown && drawing) drawing.show(picture);
      else photo.show(picture);
    },
    read: () => {
      const file = !drawingShown && photo.file();
      if (field.step && file) return { ready: true, value: file };
      const held = canvas();
      if (!held) return { ready: false, why: drawingShown ? "Draw something, or choose a photo." : "Choose a picture, or drop one here." };
      return { ready: true, value: field.step ? raw(held) : tensorOf(held, layout ?? within(held, field)) };
    },
    summary: () => (drawingShown ? "the drawing" : photo.name()),
  };
}

/** @param {HTMLCanvasElement} held @param {import("../pixels.js").Layout} layout */
function tensorOf(held, layout) {
  const { height, width, channels, first } = layout;
  const shape = channels === 1 && !layout.deep ? [height, width] : first ? [channels, height, width] : [height, width, channels];
  return { data: typed(held, layout), shape: [1, ...shape], dtype: "u8" };
}

/** A picture's own size, made smaller where it is larger than the model's largest. @param {HTMLCanvasElement} held @param {import("./card.js").Description} field @returns {import("../pixels.js").Layout} */
function within(held, field) {
  const [height, width] = field.spec.canvas;
  const scale = Math.min(1, height / held.height, width / held.width);
  const size = (/** @type {number} */ side) => Math.max(1, Math.floor(side * scale));
  const channels = Number(field.rowShape[2] ?? 1);
  return { height: size(held.height), width: size(held.width), channels, first: false, deep: field.rowShape.length === 3 };
}

/** @param {string[]} names @param {(place: number) => void} choose */
function tabs(names, choose) {
  const buttons = names.map((name, place) => el("button", { type: "button", role: "tab", "aria-selected": place === 0 ? "true" : "false", tabindex: place === 0 ? 0 : -1, on: { click: () => pick(place) } }, name));
  const pick = (/** @type {number} */ place) => {
    buttons.forEach((button, at) => {
      button.setAttribute("aria-selected", String(at === place));
      button.tabIndex = at === place ? 0 : -1;
    });
    choose(place);
  };
  const move = (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const place = (buttons.indexOf(document.activeElement) + (event.key === "ArrowRight" ? 1 : names.length - 1)) % names.length;
    buttons[place].focus();
    pick(place);
  };
  return el("div.tabs", { role: "tablist", "aria-label": "How to give the picture", on: { keydown: move } }, ...buttons);
}

/** @param {import("./card.js").Description} field @param {() => void} changed @param {(error: any) => void} fail */
function photoPart(field, changed, fail) {
  const held = { file: /** @type {File|null} */ (null), canvas: /** @type {HTMLCanvasElement|null} */ (null), flipped: false, url: "", name: "" };
  const zone = el("div.zone", {}, prompt());
  const picker = el("input", { type: "file", accept: "image/*", class: "hidden", tabindex: -1, "aria-label": `${field.name}: choose a picture` });
  const camera = "capture" in picker && el("input", { type: "file", accept: "image/*", capture: "environment", class: "hidden", tabindex: -1, "aria-label": `${field.name}: take a picture` });
  const show = (/** @type {HTMLCanvasElement} */ canvas) => {
    Object.assign(held, { file: null, canvas, name: "a golden picture" });
    canvas.className = "pixels";
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", "The chosen picture");
    fillZone(zone, canvas);
  };
  const take = async (/** @type {File|null|undefined} */ file) => {
    if (!file) return;
    URL.revokeObjectURL(held.url);
    const url = URL.createObjectURL(file);
    Object.assign(held, { file, canvas: null, url, name: file.name });
    const image = el("img", { src: url, alt: `The chosen picture, ${file.name}` });
    const decoded = await image.decode().then(() => true, () => false);
    if (held.file !== file) return;
    if (decoded) held.canvas = onCanvas(image, held.flipped);
    fillZone(zone, decoded ? (held.flipped && held.canvas) || image : prompt());
    if (!decoded && field.type === "tensor") return fail({ what: `${file.name} is not a picture that this browser can show`, fix: "Choose a PNG, JPEG or WebP file." });
    changed(); // a file that only the codec can judge is judged there, and refused at this field
  };
  for (const input of [picker, camera]) if (input) input.addEventListener("change", () => (take(input.files?.[0]), (input.value = "")));
  accept(zone, take);
  zone.addEventListener("click", () => picker.click()); // the buttons below do the same for the keyboard
  const buttons = [action("file", "Choose a file", () => picker.click()), camera && action("camera", "Camera", () => camera.click())];
  const node = el("div", {}, zone, picker, camera, el("div.actions", {}, ...buttons));
  const flip = (/** @type {boolean} */ on) => {
    held.flipped = on;
    if (held.file) take(held.file);
  };
  return { node, show, invert: flip, canvas: () => held.canvas, file: () => (held.flipped ? null : held.file), name: () => held.name };
}

/** @param {HTMLImageElement} image @param {boolean} flipped */
function onCanvas(image, flipped) {
  const [width, height] = [image.naturalWidth, image.naturalHeight];
  if (flipped) return inverted(image, width, height);
  const { canvas, context } = sheet(width, height);
  context.drawImage(image, 0, 0);
  return canvas;
}

function prompt() {
  return el("div.zone-text", {}, icon("picture"), el("b", {}, "Drop or paste a picture"), el("span", {}, "It stays on this device."));
}

/** @param {HTMLElement} zone @param {Node} content */
function fillZone(zone, content) {
  zone.replaceChildren(content);
  zone.classList.toggle("filled", !(content instanceof HTMLDivElement));
}

/** Files dropped on the zone, or pasted anywhere but into a text. @param {HTMLElement} zone @param {(file: File|null|undefined) => void} take */
function accept(zone, take) {
  const over = (/** @type {boolean} */ on) => (/** @type {DragEvent} */ event) => {
    event.preventDefault();
    zone.classList.toggle("over", on);
  };
  zone.addEventListener("dragover", over(true));
  zone.addEventListener("dragleave", over(false));
  zone.addEventListener("drop", (event) => {
    over(false)(event);
    take(event.dataTransfer?.files[0]);
  });
  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    if (file && zone.offsetParent !== null) take(file);
  });
}
