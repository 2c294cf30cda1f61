"""The page of an audit: one HTML file without scripts, from `Audit.to_dict()`; light and dark, on a phone and on a desk."""

from __future__ import annotations

from html import escape

from .audit_sections import STYLE, Found, Row, compared, expectation_table, gate_table, lineage
from .report_page import document, verdict


def page(found: Found, row: Row | None) -> str:
    """The whole page.

    Args:
        found: the audit as data.
        row: shows a row of the audited data; None: flipped rows are shown without their inputs.
    """
    asked = found["gates"] or found["expectations"]
    state = verdict(found["verdict"]) if asked else "<span class=note>nothing was asked to hold</span>"
    body = [f"<style>{STYLE}</style>", f"<h1>Audit of {escape(found['name'])} ({escape(found['target'])}): {state}</h1>", _summary(found)]
    if found["gates"]:
        body += ["<h2>Gates</h2>", gate_table(found["gates"])]
    if found["expectations"]:
        body += ["<h2>Expectations</h2>", expectation_table(found["expectations"])]
    body += ["<h2>What was lost</h2>", *compared(found, row, found["gates"]), *lineage(found["lineage"], found["command"])]
    return document(f"Audit of {found['name']}", body)


def _summary(found: Found) -> str:
    labelled = f", {found['labelled']} of them with a label" if found["labelled"] != found["rows"] else ", all with a label"
    ancestor = escape(found["lineage"].get("ancestor", found["ancestor"]))
    return f"<p>Against <code>{ancestor}</code> on {found['rows']} rows{labelled if found['labelled'] else ''}.</p>"
