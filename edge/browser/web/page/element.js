/** Elements from names, attributes and children; text is always text, so that nothing of a model becomes markup. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * @typedef {Node|string|number|null|undefined|false} Child
 */

/**
 * An HTML element. Attributes that are null, undefined or false are left out, true is written without a value;
 * `on` holds listeners by event.
 * @param {string} tag `name` or `name.class.class`
 * @param {Record<string, unknown>} [attributes]
 * @param {...Child} children
 * @returns {any}
 */
export function el(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const node = document.createElement(name);
  if (classes.length) node.className = classes.join(" ");
  return furnish(node, attributes, children);
}

/** An SVG element. @param {string} tag @param {Record<string, unknown>} [attributes] @param {...Child} children */
export function svg(tag, attributes = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), attributes, children);
}

/** @param {Element} node @param {Record<string, any>} attributes @param {Child[]} children */
function furnish(node, { on = {}, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const [event, listener] of Object.entries(on)) node.addEventListener(event, listener);
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false).map(asNode));
  return node;
}

/** @param {any} child */
function asNode(child) {
  return child instanceof Node ? child : String(child);
}

const ICONS = {
  copy: "M8 8h11v11H8zM5 16V5h11",
  done: "M5 12.5l4.5 4.5L19 7.5",
  shield: "M12 3l7 3v5c0 5-3 8-7 10-4-2-7-5-7-10V6zM8.8 12l2.3 2.3 4.2-4.4",
  wrong: "M12 8v5M12 16.5v.1M12 3.5l9 16H3z",
  picture: "M4 5h16v14H4zM4 16l4.5-4.5 4 4 3-3L20 17M15.5 9.5v.1",
  camera: "M4 8h3.5L9 5.5h6L16.5 8H20v11H4zM12 10a3.4 3.4 0 1 0 .01 0",
  file: "M12 15V4M7.5 8.5L12 4l4.5 4.5M5 15v4h14v-4",
  wait: "M4 12h3l2.5-6 4 12 2.5-6H20",
  clear: "M6 6l12 12M18 6L6 18",
};

/** A line icon, for the eye only. @param {keyof ICONS} name */
export function icon(name) {
  const shape = { d: ICONS[name], fill: "none", stroke: "currentColor", "stroke-width": 1.7, "stroke-linecap": "round", "stroke-linejoin": "round" };
  return svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", shape));
}

/**
 * A button that copies text and says so.
 * @param {string} label @param {() => string} text @param {string} tag @param {Child[]} [content]
 */
export function copyButton(label, text, tag, content) {
  const shown = el("span", {}, ...(content ?? [label]));
  const button = el(tag, { type: "button", "aria-label": content && label, title: label }, shown, icon("copy"));
  button.addEventListener("click", async () => {
    await copy(text());
    button.lastChild.replaceWith(icon("done"));
    setTimeout(() => button.lastChild.replaceWith(icon("copy")), 1500);
  });
  return button;
}

/** The clipboard's own way where the page may use it, else a selection. @param {string} text */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.body.appendChild(el("textarea", { class: "hidden", readonly: true }));
    area.value = text;
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

/** A name of code as people read it: `debt_to_income` -> `Debt to income`. @param {string} name */
export function readable(name) {
  const words = name.replace(/[_-]+/g, " ").trim();
  return words && words === words.toLowerCase() ? words[0].toUpperCase() + words.slice(1) : words || name;
}

let made = 0;
/** An id that no other element has. @param {string} stem */
export function fresh(stem) {
  made += 1;
  return `${stem}-${made}`;
}
