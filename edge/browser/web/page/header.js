/** The head of the page: what this model is, its digest, how it was proven, its licence, and the files behind it. */

import { copyButton, el, icon } from "./element.js";

/** @param {any} artifact @param {string|null} licence of the golden inputs */
export function showHeader(artifact, licence) {
  document.title = artifact.name;
  /** @type {HTMLElement} */ (document.getElementById("name")).textContent = artifact.name;
  /** @type {HTMLElement} */ (document.getElementById("facts")).replaceChildren(...facts(artifact, licence));
}

/** @param {any} artifact @param {string|null} licence */
function facts(artifact, licence) {
  const short = artifact.package.replace("sha256:", "").slice(0, 12);
  const digest = copyButton("Copy the package digest", () => artifact.package, "button.digest", [short]);
  const links = [["artifact.json", "artifact.json"], ["model.d.ts", "API"]].map(([file, name]) => el("a", { href: file }, name));
  return [verdict(artifact.verified), digest, el("span", {}, `${artifact.target}, in this browser`), licence && el("span", {}, licence), el("span.links", {}, ...links)].filter(Boolean);
}

/** @param {any} verified */
function verdict(verified) {
  if (!verified?.verdict) return null;
  const passed = verified.verdict === "passed";
  const rows = verified.rows ? ` on ${Number(verified.rows).toLocaleString("en")} golden rows` : "";
  return el(`span.verdict${passed ? "" : ".no"}`, {}, icon(passed ? "shield" : "wrong"), passed ? `Verified${rows}` : `Verification: ${verified.verdict}`);
}
