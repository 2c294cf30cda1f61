// What the tests of the demo page ask of it. Evaluated in the page, one function at a time.

/** A raw answer stands there, and it is another one. */
function answered(before) {
  const raw = document.querySelector(".raw pre");
  return Boolean(raw && raw.textContent && raw.textContent !== before);
}

/** The drawing: height, width and all its pixels. */
function drawn() {
  const canvas = document.querySelector(".board canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return [canvas.height, canvas.width, Array.from(data)];
}

/** The field that the focus is in, or the text of what has it. */
function focused() {
  const at = document.activeElement;
  return at.closest("[data-field]")?.dataset.field ?? at.textContent.trim();
}

/** Controls without a name that a screen reader could say. */
function nameless() {
  const controls = document.querySelectorAll("button, a[href], input, select, textarea, canvas[tabindex], [role=region], summary");
  return [...controls].filter((e) => !e.closest("[aria-hidden=true]") && !nameOf(e)).map((e) => e.outerHTML.slice(0, 120));
}

function nameOf(e) {
  const by = (e.getAttribute("aria-labelledby") ?? "").split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join("");
  const labels = [...(e.labels ?? [])].map((label) => label.textContent).join("");
  const text = e.matches("input, select, textarea") ? labels : e.textContent;
  return (e.getAttribute("aria-label") || by || text).trim();
}

/** Texts whose contrast with what lies under them is below WCAG 2 AA. */
function faint() {
  return [...document.querySelectorAll("body *")].filter(isText).map((e) => [e, contrast(e), wanted(e)])
    .filter(([, ratio, least]) => ratio < least).map(([e, ratio]) => `${e.textContent.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
}

function isText(e) {
  const own = [...e.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
  return own && !e.disabled && !e.closest(".board, .skip") && e.checkVisibility({ visibilityProperty: true });
}

function wanted(e) {
  const { fontSize, fontWeight } = getComputedStyle(e);
  return parseFloat(fontSize) >= 24 || (parseFloat(fontSize) >= 18.66 && fontWeight >= 700) ? 3 : 4.5;
}

function contrast(e) {
  const under = ground(e);
  const [bright, dark] = [light(over(colour(getComputedStyle(e).color), under)), light(under)].sort((one, other) => other - one);
  return (bright + 0.05) / (dark + 0.05);
}

function ground(e) {
  const chain = [];
  for (let at = e; at; at = at.parentElement) chain.unshift(colour(getComputedStyle(at).backgroundColor));
  return chain.reduce((under, top) => over(top, under), [255, 255, 255]);
}

function colour(text) {
  const parts = text.match(/[\d.]+/g).map(Number);
  return parts.length < 4 ? [...parts, 1] : parts;
}

function over(top, under) {
  return [0, 1, 2].map((channel) => top[channel] * top[3] + under[channel] * (1 - top[3]));
}

function light(rgb) {
  const linear = rgb.map((value) => value / 255).map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return linear[0] * 0.2126 + linear[1] * 0.7152 + linear[2] * 0.0722;
}

/** Controls too small for a finger; those that a larger label stands for are left to it. */
function tiny() {
  const own = "button, select, textarea, input:not([type=range], [type=file], [type=radio], [type=checkbox])";
  return [...document.querySelectorAll(own)].filter((e) => e.checkVisibility()).filter((e) => {
    const { width, height } = e.getBoundingClientRect();
    return width < 43.5 || height < 43.5;
  }).map((e) => e.outerHTML.slice(0, 120));
}
