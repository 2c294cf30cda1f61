/** A board to draw on with finger, pen, mouse or keyboard: for small grey pictures such as digits. */

import { el } from "../element.js";
import { action } from "./card.js";
import { sheet } from "../pixels.js";

const SIDE = 336;
const BRUSHES = { thin: 14, middle: 26, thick: 52 };
const STEP = 8;

/**
 * @param {string} name @param {boolean} bright the ground is bright and the ink dark
 * @param {() => void} changed
 */
export function board(name, bright, changed) {
  const { canvas, context } = sheet(SIDE, SIDE);
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `${name}: draw with finger or mouse; with the keyboard, arrow keys move the pen, the space bar lifts and lowers it, Delete clears`);
  const hint = el("p", { "aria-hidden": "true" }, "Draw here");
  const frame = el("div.board", {}, canvas, hint);
  const state = { bright, empty: true, width: BRUSHES.middle, x: SIDE / 2, y: SIDE / 2 };
  const clear = () => {
    context.fillStyle = state.bright ? "#ffffff" : "#000000";
    context.fillRect(0, 0, SIDE, SIDE);
    frame.classList.toggle("light", state.bright);
    hint.hidden = false;
    state.empty = true;
  };
  const line = (/** @type {number} */ x, /** @type {number} */ y, fresh = false) => {
    Object.assign(context, { lineCap: "round", lineJoin: "round", lineWidth: state.width, strokeStyle: state.bright ? "#000000" : "#ffffff" });
    context.beginPath();
    context.moveTo(fresh ? x : state.x, fresh ? y : state.y);
    context.lineTo(x, y);
    context.stroke();
    Object.assign(state, { x, y, empty: false });
    hint.hidden = true;
  };
  const show = (/** @type {CanvasImageSource} */ picture) => {
    clear();
    context.imageSmoothingEnabled = false;
    context.drawImage(picture, 0, 0, SIDE, SIDE);
    context.imageSmoothingEnabled = true;
    hint.hidden = true;
    state.empty = false;
  };
  byPointer(canvas, line, changed);
  byKeys(frame, canvas, state, line, changed, clear);
  clear();
  const invert = (/** @type {boolean} */ on) => {
    state.bright = on;
    clear();
  };
  return { node: el("div", {}, frame, tools(state, () => (clear(), changed()))), canvas, show, clear, invert, empty: () => state.empty };
}

/** @param {HTMLCanvasElement} canvas @param {(x: number, y: number, fresh?: boolean) => void} line @param {() => void} changed */
function byPointer(canvas, line, changed) {
  const place = (/** @type {PointerEvent} */ event) => {
    const box = canvas.getBoundingClientRect();
    return /** @type {const} */ ([((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE]);
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    line(...place(event), true);
    changed();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    const passed = event.getCoalescedEvents?.() ?? [];
    for (const one of passed.length ? passed : [event]) line(...place(one));
    changed();
  });
}

/** @param {HTMLElement} frame @param {HTMLCanvasElement} canvas @param {{x: number, y: number}} state @param {(x: number, y: number, fresh?: boolean) => void} line @param {() => void} changed @param {() => void} clear */
function byKeys(frame, canvas, state, line, changed, clear) {
  const pen = frame.appendChild(el("span", { class: "pen", hidden: true }));
  const moves = /** @type {Record<string, [number, number]>} */ ({ ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] });
  let down = false;
  canvas.addEventListener("blur", () => (pen.hidden = true));
  canvas.addEventListener("keydown", (event) => {
    const clears = event.key === "Delete" || event.key === "Backspace";
    if (!moves[event.key] && event.key !== " " && !clears) return;
    event.preventDefault();
    const [x, y] = (moves[event.key] ?? [0, 0]).map((by, axis) => Math.min(SIDE, Math.max(0, (axis ? state.y : state.x) + by)));
    if (event.key === " ") down = !down;
    if (clears) clear();
    else if (down) line(x, y);
    Object.assign(state, { x, y });
    pen.hidden = false;
    pen.style.left = `${(x / SIDE) * 100}%`;
    pen.style.top = `${(y / SIDE) * 100}%`;
    changed();
  });
}

/** @param {{width: number}} state @param {() => void} clear */
function tools(state, clear) {
  const brush = (/** @type {keyof BRUSHES} */ name) => {
    const radio = el("input", { type: "radio", name: "brush", "aria-label": `${name} brush`, checked: BRUSHES[name] === state.width, on: { change: () => (state.width = BRUSHES[name]) } });
    return el(`label.${name}`, { title: `${name} brush` }, radio, el("i"));
  };
  const brushes = el("div.brushes", { role: "radiogroup", "aria-label": "Brush" }, ...Object.keys(BRUSHES).map((name) => brush(/** @type {"thin"} */ (name))));
  return el("div.tools", {}, brushes, action("clear", "Clear", clear));
}
