/** On a small screen the answer may be out of sight while something is drawn or typed: a line at the bottom repeats it. */

import { el } from "./element.js";

/** @param {HTMLElement} answer the panel it stands for */
export function peek(answer) {
  const text = el("span");
  const bar = el("a.peek", { href: `#${answer.id}`, "aria-hidden": "true", tabindex: -1, hidden: true }, text, el("b", {}, "Details"));
  document.body.append(bar);
  let inSight = true;
  const settle = () => (bar.hidden = inSight || !text.textContent);
  new IntersectionObserver(([entry]) => {
    inSight = entry.isIntersecting;
    settle();
  }, { rootMargin: "0px 0px -90px 0px" }).observe(answer);
  return (/** @type {string} */ words) => {
    text.textContent = words;
    settle();
  };
}
