"""Rules for Prometheus, as `portside monitor export` writes them: what the monitor says, and what is wrong when it says nothing.

The monitor judges and tells by itself. These rules are for those whose alerts all come from Prometheus: one per alert of the deployment,
over `portside_alert`, and one over `up` of the monitor. The file is YAML; `promtool check rules` accepts it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..alerts.rule import Rule
from .about import About


def rules(about: About) -> str:
    """The file's text."""
    groups = [{"name": f"portside-{about.name}", "rules": [*(_rule(rule, about) for rule in about.rules), _silent(about)]}]
    return "\n".join([f"# Alerts of the deployment {about.name}, written by: portside monitor export", *_yaml({"groups": groups}, 0), ""])


def _rule(rule: Rule, about: About) -> dict[str, Any]:
    fires = f'max by (subject, severity) (portside_alert{{deployment="{about.name}",alert="{rule.name}"}}) == 1'
    runbook = rule.runbook or f"See docs/monitoring.md, {rule.name}."
    return {
        "alert": f"Portside{_camel(rule.name)}", "expr": fires,
        "labels": {"deployment": about.name, **({"severity": rule.severity} if rule.severity else {})},
        "annotations": {"summary": f"{rule.name}: {{{{ $labels.subject }}}}", "runbook": runbook},
    }  # fmt: skip


def _silent(about: About) -> dict[str, Any]:
    shown = f'portside_monitor_up{{deployment="{about.name}"}}'
    return {
        "alert": "PortsideMonitorSilent", "expr": f"absent({shown}) or min({shown}) == 0", "for": "5m",
        "labels": {"deployment": about.name, "severity": "critical"},
        "annotations": {"summary": f"Nobody monitors {about.name}",
                        "runbook": "Run: portside monitor status DEPLOYMENT.toml. The server's log says why the monitor ended."},
    }  # fmt: skip


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.replace("_", "-").replace(".", "-").split("-"))


def _yaml(value: Any, depth: int) -> list[str]:
    """Mappings, lists and texts as block YAML; texts are written as JSON, which YAML reads."""
    pad, lines = "  " * depth, list[str]()
    if isinstance(value, Mapping):
        for key, held in value.items():  # type: ignore[misc]
            lines += [f"{pad}{key}: {json.dumps(held)}"] if isinstance(held, str) else [f"{pad}{key}:", *_yaml(held, depth + 1)]
    else:
        for held in value:
            first, *rest = _yaml(held, depth + 1)
            lines += [f"{pad}- {first.strip()}", *rest]
    return lines
