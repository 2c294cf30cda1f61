"""The page of a load: verdict, percentiles against rate, the table, what went wrong, latency over time. No scripts, nothing loaded."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from ...runtimes.interval_plot import STYLE as WIDE
from ...runtimes.interval_plot import WIDTHS
from ...runtimes.report_page import document, grid, verdict
from .plots import STYLE, failure_keys, failures, over_time, percentiles
from .report import HEAD, Report

_VERDICTS = {"held": "passed", "missed": "failed", "too few to tell": "not", "generator late": "not"}
_READ = """Requests start when they are due, whatever became of those before, and latency counts from then: a stall is charged for every
request that it held up. Percentiles are of answers, within half a percent; "in time" is the share of all requests that were answered with
2xx within the deadline. A rate holds when the 95% lower bound of that share reaches what is asked (Clopper-Pearson); requests in a burst
are not independent, so a close call is closer than it looks."""


def page(report: Report) -> str:
    """The whole page."""
    held = report.found
    asked = f"{escape(report.url)}, body {escape(report.made)}; {report.arrivals} arrivals, {report.seconds:g} s a rate."
    body = [
        f"<style>{WIDE}{STYLE}{_STYLE}</style>",
        f"<h1>{escape(held.sentence[0].upper() + held.sentence[1:])}</h1>",
        f"<p>{asked}<br><span class=note>{escape(report.where)}</span></p>",
        *_figure(report, "Latency against rate", percentiles), _table(report),
        *_figure(report, "Not answered in time, by kind", failures, failure_keys(report)),
        *_figure(report, "Latency over time, second by second", over_time), f"<p class=note>{_READ}</p>",
    ]  # fmt: skip
    return document(f"Load of {report.url}", body)


_STYLE = """.load td:nth-child(n+10){white-space:normal;min-width:8rem}"""


def _figure(report: Report, title: str, draw: Callable[[Report, int], str], keys: str = "") -> list[str]:
    drawn = "".join(draw(report, width) for width in WIDTHS)
    return [f"<h2>{title}</h2>", drawn, f"<p>{keys}</p>" if keys else ""] if drawn else []


def _table(report: Report) -> str:
    head, rows = report.rows()
    place = HEAD.index("verdict")
    return grid(head, [[*map(escape, row[:place]), _said(row[place]), *map(escape, row[place + 1 :])] for row in rows], "load")


def _said(judged: str) -> str:
    """The verdict of a rate in the colour of what it means."""
    return verdict(judged).replace(f"verdict {judged.partition(' ')[0]}", f"verdict {_VERDICTS[judged]}")
