"""The card of a package: one readable Markdown page made from its manifest and contract, nothing in it is run.

    >>> print(card(package))                               # doctest: +SKIP

The head is a Hugging Face model card's, so that hubs read licence and tags. What the package does not say is said to be
missing, because a card that is silent reads as a promise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from .core.contract import Contract
from .core.manifest import CONTRACT, CONTRACT_TENSORS, Content
from .core.package import Package
from .core.signature import TensorSpec

FEW_ROWS = 32
"""A contract of fewer golden rows says so under its limits."""


def card(package: Package) -> str:
    """The card, as Markdown ending in a newline. Raises IntegrityError where the contract's files changed."""
    contract = read_contract(package)
    sections = [
        _head(package), _title(package), _use(package), _signature(package.content), _program(package.content),
        _contract(contract), _metrics(package.manifest.annotations.fields), _limits(package, contract), _lineage(package), _made(package),
    ]  # fmt: skip
    return "\n\n".join(section for section in sections if section) + "\n"


def read_contract(package: Package) -> Contract | None:
    """The contract of a package, or None where it has none."""
    if CONTRACT not in package.content.files:
        return None
    return Contract.from_bytes(package.read(CONTRACT), package.read(CONTRACT_TENSORS))


def limits(package: Package, contract: Contract | None) -> list[str]:
    """What a reader must know before trusting the package, one sentence each."""
    content, found = package.content, list[str]()
    found += _contract_limits(contract)
    if content.evidence is None:
        found.append("No evidence set is attached: lossy artifacts cannot be judged, and quality was not measured on held-out rows.")
    if stages := package.trust_needed():
        found.append(f"Host stages ({', '.join(stages)}) run Python from the package: only with `trust=True`, not on every target.")
    found += [f"Stage `{stage.name}` runs only on {', '.join(stage.only)}{f': {stage.note}' if stage.note else ''}."
              for stage in content.stages if stage.only]  # fmt: skip
    if content.signature.state:
        found.append("The model is stateful: calls of one sequence go to one session, and rows are never batched across sessions.")
    if not package.manifest.annotations.fields.get("licence"):
        found.append("No licence of the model is stated.")
    return found


def _contract_limits(contract: Contract | None) -> list[str]:
    if contract is None:
        return ["There is no contract: no target can prove that it answers as the source does."]
    found = list(contract.notes)
    if contract.rows < FEW_ROWS:
        found.append(f"The contract holds {contract.rows} rows; {FEW_ROWS} or more are usual.")
    if not contract.shareable:
        found.append("The golden inputs may not be shown in pages or public releases.")
    found += [f"Narrowing inputs to the program's dtypes alone changes {count} decisions of `{name}` in the source."
              for name, count in sorted(contract.narrowing.items()) if count]  # fmt: skip
    return found


def _head(package: Package) -> str:
    licence = package.manifest.annotations.fields.get("licence")
    tags = ["portside", *(str(tag) for tag in _items(package.manifest.annotations.fields.get("tags")))]
    lines = ["---", *([f"license: {json.dumps(str(licence))}"] if licence else []), "library_name: portside"]
    return "\n".join([*lines, f"tags: {json.dumps(tags)}", "---"])


def _title(package: Package) -> str:
    fields = package.manifest.annotations.fields
    about = _text(fields.get("description") or "A Portside package: one program for every target, with its contract.")
    version = f":{fields['version']}" if "version" in fields else ""
    owner = f"\n- owner: {_text(fields['owner'])}" if "owner" in fields else ""
    size = sum(entry.size for entry in package.content.files.values())
    return (f"# {_text(package.name)}{_text(version)}\n\n{about}\n\n- digest: `{package.digest}`\n"
            f"- program: `{package.content.program_digest}`\n- size: {_size(size)}{owner}")  # fmt: skip


def _use(package: Package) -> str:
    signature = package.content.signature
    hidden = {pair.input for pair in signature.state}
    fields = [str(step["field"]) for step in package.content.codec if isinstance(step.get("field"), str)]
    decoded = {str(name) for step in package.content.codec for name in _items(step.get("produces"))}
    names = list(dict.fromkeys([*fields, *(s.name for s in signature.inputs if s.name not in hidden | decoded)]))
    given = ", ".join(f"{_quoted(name)}: ..." for name in names)
    trust = ", trust=True" if package.trust_needed() else ""
    code = [f"package = ps.open({_quoted(f'{package.name}@{package.digest}')}{trust})", f"answers = package.predict({{{given}}})"]
    answers = [f"answers[{_quoted(spec.name)}]" for spec in signature.outputs]
    return "\n".join(["## How to use", "", "```python", "import portside as ps", "", *code, ", ".join(answers), "```"])


def _signature(content: Content) -> str:
    rows = [[side, _code(spec.name), spec.dtype, "(" + ", ".join(map(str, spec.shape)) + ")", spec.unit or "", _notes(spec)]
            for side, specs in (("in", content.signature.inputs), ("out", content.signature.outputs)) for spec in specs]  # fmt: skip
    table = _table(["", "name", "dtype", "shape", "unit", "notes"], rows)
    state = [f"- {_code(pair.output)} of one call is {_code(pair.input)} of the next." for pair in content.signature.state]
    return "\n\n".join(["## Signature", table, *(["\n".join(state)] if state else [])])


def _notes(spec: TensorSpec) -> str:
    notes = [f"kind {spec.kind}" if spec.kind else ""]
    notes += [f"range {spec.range[0]:g} to {spec.range[1]:g}, outside: {spec.on_range}" if spec.range else ""]
    notes += [_categories(spec) if spec.categories else "", "missing allowed" if spec.missing else ""]
    notes += [f"images up to {spec.canvas[0]} x {spec.canvas[1]} (height x width)" if spec.canvas else ""]
    notes += ["" if spec.required else f"optional, default {spec.default}", "redacted" if spec.redact else ""]
    return "; ".join(filter(None, [*notes, "stays on the device" if spec.stays_on_device else ""]))


def _categories(spec: TensorSpec) -> str:
    names = list(spec.categories or ())
    rest = f", and {len(names) - 8} more" if len(names) > 8 else ""
    return f"one of {', '.join(names[:8])}{rest}; unknown: {spec.on_unknown}"


def _program(content: Content) -> str:
    rows = [[_code(stage.name), stage.kind, _code(stage.file), ", ".join(stage.only) or "every target"] for stage in content.stages]
    kinds = ", ".join(_text(step.get("kind", "?")) for step in content.codec)
    codec = f"\n\nInputs pass a codec first: {kinds}." if kinds else ""
    return f"## Program\n\n{_table(['stage', 'kind', 'file', 'runs on'], rows)}{codec}"


def _contract(contract: Contract | None) -> str:
    if contract is None:
        return ""
    sequences = len({case.sequence for case in contract.cases if case.sequence is not None})
    shown = f", {sequences} of them sequences" if sequences else ""
    rows = [[_code(name), rule.kind, ", ".join(f"{key} {value:g}" for key, value in sorted(rule.limits.items())) or "defaults"]
            for name, rule in contract.rules.items()]  # fmt: skip
    text = f"{contract.rows} golden rows in {len(contract.cases)} calls{shown}."
    licence = f"Licence of the inputs: {_text(contract.licence or 'not stated')}."
    return f"## Contract\n\n{text} {licence}\n\n{_table(['output', 'judged as', 'limits'], rows)}"


def _metrics(fields: Mapping[str, Any]) -> str:
    metrics = fields.get("metrics")
    if not isinstance(metrics, Mapping) or not metrics:
        return "## Metrics\n\nNone are attached."
    rows = [[_text(name), _metric(value)] for name, value in cast("Mapping[str, Any]", metrics).items()]
    return f"## Metrics\n\n{_table(['metric', 'value'], rows)}"


def _metric(value: Any) -> str:
    """A number, or a mapping such as {"value": 0.91, "low": 0.88, "high": 0.93, "rows": 525}."""
    if isinstance(value, Mapping):
        held = cast("Mapping[str, Any]", value)
        interval = f" [{_number(held['low'])}, {_number(held['high'])}]" if {"low", "high"} <= set(held) else ""
        rows = f" on {held['rows']} rows" if "rows" in held else ""
        return f"{_number(held.get('value'))}{interval}{rows}"
    return _number(value)


def _limits(package: Package, contract: Contract | None) -> str:
    return "## Limits\n\n" + "\n".join(f"- {_text(sentence)}" for sentence in limits(package, contract))


def _lineage(package: Package) -> str:
    steps = [f"- made by `{step.get('pass', step.get('kind', 'a pass'))}`" for step in package.content.recipe]
    parents = [f"- derived from `{parent}`" for parent in package.lineage] or ["- first of its line: packed from a trained model"]
    evidence = [f"- evidence set `{package.content.evidence}`"] if package.content.evidence else []
    return "\n".join(["## Lineage", "", *parents, *steps, *evidence])


def _made(package: Package) -> str:
    fields = package.manifest.annotations.fields
    git, lock = fields.get("git"), fields.get("environment")
    lines = [f"- packed {_text(fields['created'])}"] if "created" in fields else []
    if isinstance(git, Mapping):
        held = cast("Mapping[str, Any]", git)
        lines.append(f"- git `{_text(held.get('commit'))}`{', with uncommitted changes' if held.get('dirty') else ''}")
    if isinstance(lock, Mapping):
        lines.append("- " + ", ".join(f"{_text(name)} {_text(held)}" for name, held in cast("Mapping[str, Any]", lock).items()))
    return "\n".join(["## Made with", "", *lines]) if lines else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_text(cell) for cell in line) + " |" for line in lines)


def _text(value: object) -> str:
    """One line that ends no table cell and opens no HTML."""
    return _plain(value).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _code(value: object) -> str:
    return "`" + _plain(value).replace("`", "'") + "`"


def _plain(value: object) -> str:
    """One line without control characters: a card is read in terminals too."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "", re.sub(r"\s+", " ", str(value)))


def _quoted(value: str) -> str:
    """A Python string literal that ends no code block."""
    return json.dumps(value, ensure_ascii=False).replace("`", "\\u0060")


def _items(value: object) -> list[Any]:
    return list(cast("Sequence[Any]", value)) if isinstance(value, list | tuple) else []


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else _text(value)


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1e5 else f"{size_bytes / 1e3:.1f} kB"
