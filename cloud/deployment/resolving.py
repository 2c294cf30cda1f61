"""From intent to what can be loaded: packages to digests, artifacts compiled and verified, outputs that fit together.

Everything here happens before a service exists, in the factory: an error ends the command instead of restarting a worker
for ever. Artifacts are kept below $PORTSIDE_HOME/artifacts by package digest, so only the first start compiles.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from ...runtimes.artifact import Artifact, open_artifact
from ...runtimes.compiling import compile as compile_package
from ...runtimes.compiling import default_out
from ...sdk.core.chain_answers import default_row
from ...sdk.core.codec.codec import Codec
from ...sdk.core.errors import FormatError, IntegrityError, PortsideError, TrustError
from ...sdk.core.manifest import digest_of
from ...sdk.core.package import Package
from ...sdk.core.signature import Array, Signature, TensorSpec
from ...sdk.opening import open as open_package
from ..arms.slices import check_rollout
from ..automating.plan import Plan, plan_of
from .failover import Precomputed
from .file import Cache, Deployment, Endpoint, Link, Model
from .tables import Table, read_table

log = logging.getLogger("portside.deployment")


@dataclass(frozen=True)
class ResolvedModel:
    """A model entry: its settings and its artifact, with the codec in front of it.

    Attributes:
        name: of the package.
        digest: of the package.
        front: two models with the same front take the very same typed tensors, so encoding once is enough.
        taps: boundary -> its values, which the model gives beside its outputs for records.
    """

    settings: Model
    artifact: Artifact
    codec: Codec
    name: str
    digest: str
    front: str
    taps: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, "tuple[str, ...]"])

    @property
    def signature(self) -> Signature:
        """Tensors in and out."""
        return self.artifact.signature

    @property
    def about(self) -> dict[str, Any]:
        """What callers may know of it. Where it is not batch-invariant a row's answer depends on the rows it is sent with."""
        return {"name": self.name, "version": self.digest, "target": self.artifact.target, "artifact": self.artifact.digest,
                "lossy": self.artifact.lossy, "batch_invariant": self.artifact.batch_invariant}  # fmt: skip


ResolvedEntry: TypeAlias = ResolvedModel | Cache | Table | Endpoint | Mapping[str, Array]


@dataclass(frozen=True)
class Resolved:
    """A deployment whose every entry exists.

    Attributes:
        entries: the champion's ResolvedModel first, then the chain; a default is its outputs for one row.
        digest: of the intent with its packages as digests, and its thresholds.
        automation: who decides, where it is not always the model.
        challengers: of the rollout, in the order of its section.
    """

    deployment: Deployment
    entries: tuple[ResolvedEntry, ...]
    digest: str
    automation: Plan | None = field(default=None, kw_only=True)
    challengers: tuple[ResolvedModel, ...] = field(default=(), kw_only=True)

    @property
    def champion(self) -> ResolvedModel:
        """The model that answers when all is well."""
        first = self.entries[0]
        assert isinstance(first, ResolvedModel)  # noqa: S101  by construction
        return first

    @property
    def signature(self) -> Signature:
        """The champion's: what callers see."""
        return self.champion.signature


def resolve(deployment: Deployment, whole: bool = True) -> Resolved:
    """Open, compile where needed, audit and compare everything a deployment names. `whole`: False for a step of a graph.

    Raises:
        FormatError: outputs that do not fit, a default the signature does not allow.
        PortsideError: whatever a package or its compile is refused for; the entry is named.
    """
    if deployment.champion is None:
        raise FormatError("A graph has no champion that could be asked here", got=deployment.path.name, expected="a file with [champion]")
    champion = resolve_model(deployment, deployment.champion, "[champion]", deployment.place("champion"))
    if whole:
        check_features(deployment, [champion])
    entries: list[ResolvedEntry] = [champion]
    for place, link in enumerate(deployment.failover.chain):
        at = deployment.place("failover", "chain", place)
        entries.append(_link(deployment, link, champion, f"[[failover.chain]] number {place + 1}", at))
    challengers = _challengers(deployment, champion)
    pinned = [entry.digest for entry in (*entries, *challengers) if isinstance(entry, ResolvedModel | Table)]
    plan, known = _plan(deployment, champion), {"intent": deployment.digest, "packages": pinned}
    digest = digest_of(known if plan is None else {**known, "automation": asdict(plan.dial)})
    return Resolved(deployment, tuple(entries), digest, automation=plan, challengers=challengers)


def _plan(deployment: Deployment, champion: ResolvedModel) -> Plan | None:
    """What `[automation]` says, held against the champion. Raises FormatError that names the section."""
    settings = deployment.automation
    if settings is None:
        return None
    where = deployment.place("automation")
    if not deployment.records.enabled:
        raise FormatError(f"{where}: reviews are kept with the records, and [records] enabled = false")
    chain = deployment.failover.chain
    default = bool(chain) and chain[-1].default is not None
    try:
        return plan_of(settings, deployment.review, champion.signature, champion.digest, deployment.folder, default)
    except PortsideError as error:
        error.what = f"{where}: {error.what}"
        error.args = (error._message(),)
        raise


def _challengers(deployment: Deployment, champion: ResolvedModel) -> tuple[ResolvedModel, ...]:
    """The packages of `[rollout]`, held against the champion as backups are. Raises FormatError that names the section."""
    settings, where = deployment.rollout, deployment.place("rollout")
    if settings is None:
        return ()
    found: list[ResolvedModel] = []
    for challenger in settings.challengers:
        model = resolve_model(deployment, challenger, "[rollout]", where)
        check_outputs(model.signature, champion.signature, f"{where}, [rollout]", "challenger")
        check_inputs(model, champion, f"{where}, [rollout]", "challenger")
        found.append(model)
    if len({model.digest for model in found}) < len(found):
        raise FormatError(f"{where}: two challengers are the same package", got=", ".join(model.name for model in found))
    if champion.digest in {model.digest for model in found}:
        log.warning("%s: the challenger is the champion itself: a promoted challenger needs no [rollout] any more", where)
    check_rollout(settings, champion.signature, where)
    return tuple(found)


def resolve_model(deployment: Deployment, settings: Model, where: str, at: str | None = None) -> ResolvedModel:
    """One package, its artifact, and its codec. `where`: the section, `at`: file and line, for errors."""
    at = at or deployment.path.name
    try:
        package = open_package(reference_of(deployment, settings.package), settings.digest, settings.trust)
        taps = tuple(tap for tap in deployment.records.features if tap in package.content.boundaries)
        artifact = _given(deployment, settings, package, taps) if settings.artifact else _compiled(package, settings.target, taps)
        codec = Codec.from_steps(artifact.codec, lambda name: (artifact.path / name).read_bytes())
    except PortsideError as error:
        error.what = f"{at}, {where}: {error.what}"
        error.args = (error._message(),)
        raise
    if not settings.trust and (host := [stage.name for stage in artifact.stages if stage.kind == "host"]):
        raise TrustError(f"{at}, {where}: the package runs Python of its own", got=", ".join(host),
                         fix="Read its host/ folder, then say trust = true in that section.")  # fmt: skip
    inputs = artifact.signature.to_dict()["inputs"]
    front = digest_of({"codec": [dict(step) for step in artifact.codec], "inputs": inputs,
                       "files": {name: entry.sha256 for name, entry in artifact.files.items() if name.startswith("codec/")}})  # fmt: skip
    held = {tap: package.content.boundaries[tap] for tap in taps}
    return ResolvedModel(settings, artifact, codec, package.name, artifact.package_digest, front, held)


def check_features(deployment: Deployment, models: Iterable[ResolvedModel]) -> None:
    """Raise FormatError unless every boundary of `[records] features` is one of at least one of these models."""
    found = {tap for model in models for tap in model.taps}
    if lacking := [tap for tap in deployment.records.features if tap not in found]:
        raise FormatError(f"{deployment.place('records', 'features')}: no program here has the boundary {lacking[0]!r}",
                          got=lacking[0], expected="\"features\" or \"model\", where the package has them",
                          fix="See: portside inspect PACKAGE.")  # fmt: skip


def _given(deployment: Deployment, settings: Model, package: Package, taps: tuple[str, ...]) -> Artifact:
    """The artifact that the file names, which must be of the package and target that it names."""
    artifact = open_artifact(deployment.folder / str(settings.artifact))
    if artifact.package_digest != package.digest:
        raise IntegrityError("The artifact was compiled from another package", got=artifact.package_digest, expected=package.digest)
    if artifact.target != settings.target:
        raise FormatError("The artifact is for another target", got=artifact.target, expected=settings.target)
    if lacking := [tap for tap in taps if tap not in artifact.engine.get("taps", {})]:
        raise FormatError(f"[records] features asks for {lacking[0]!r}, which the artifact does not give", got=settings.artifact,
                          fix=f"Compile it with --tap {lacking[0]}, or leave it out of [records].")  # fmt: skip
    return artifact


def _compiled(package: Package, target: str, taps: tuple[str, ...]) -> Artifact:
    """The package's artifact in the home folder, compiled where it is not there yet. One artifact stands for every name of a content."""
    kept = default_out(package, target, taps)
    if kept.is_dir():
        try:
            artifact = open_artifact(kept)
            if artifact.package_digest == package.digest and artifact.verified.get("verdict") == "passed":
                return artifact
        except (FormatError, IntegrityError):
            pass  # a damaged or older copy is replaced by a fresh compile
    return compile_package(package, target, taps=taps)


def reference_of(deployment: Deployment, package: str) -> str | Path:
    """A folder beside the deployment file comes first, then the store."""
    folder = deployment.folder / package
    return folder if folder.is_dir() else package


def _link(deployment: Deployment, link: Link, champion: ResolvedModel, section: str, at: str) -> ResolvedEntry:
    where = f"{at}, {section}"
    if link.default is not None:
        return default_row(link.default, champion.signature, f"{where}: the default")
    if link.precomputed is not None:
        return _table(deployment, link.precomputed, champion, where)
    if link.package is None:
        entry = link.cache or link.endpoint
        assert entry is not None  # noqa: S101  the file's validation says so
        return entry
    model = resolve_model(deployment, link.model(), section, at)
    check_outputs(model.signature, champion.signature, where)
    check_inputs(model, champion, where)
    return model


def _table(deployment: Deployment, settings: Precomputed, champion: ResolvedModel, where: str) -> Table:
    try:
        return read_table(deployment.folder / settings.file, settings.by, champion.signature, champion.front)
    except FormatError as error:
        error.what = f"{where}: {error.what}"
        error.args = (error._message(),)
        raise


def check_outputs(backup: Signature, champion: Signature, where: str, who: str = "backup") -> None:
    """Raise FormatError unless `backup` has every output of `champion`, alike in dtype, rank, sizes and categories. who: it is."""
    have = {spec.name: spec for spec in backup.outputs}
    for spec in champion.outputs:
        other = have.get(spec.name)
        if other is None:
            raise FormatError(f"{where}: the {who} lacks the output {spec.name!r}", got=", ".join(have),
                              fix=f"A {who} answers in the champion's place, so it needs the same outputs.")  # fmt: skip
        same = other.dtype == spec.dtype and other.categories == spec.categories and _fits(other, spec)
        if not same:
            raise FormatError(f"{where}: the {who}'s output {spec.name!r} is not like the champion's",
                              got=_text(other), expected=_text(spec))  # fmt: skip


def check_inputs(backup: ResolvedModel, champion: ResolvedModel, where: str, who: str = "backup") -> None:
    """Hold what a backup takes against what callers send, which is what the champion takes. who: it is.

    A field that only the backup has is never sent: FormatError. A value that only the champion takes (null, another category)
    makes the backup pass: a warning, for the rest of the chain answers those rows.
    """
    sent = {wire.name: wire for wire in champion.codec.wire_fields(champion.signature)}
    for wire in backup.codec.wire_fields(backup.signature):
        given = sent.get(wire.name)
        if given is None or given.type != wire.type:
            raise FormatError(f"{where}: the {who} takes the field {wire.name!r}, which the champion's callers do not send", got=wire.type,
                              expected=", ".join(f"{name} ({held.type})" for name, held in sent.items()),
                              fix=f"A {who} answers the champion's requests, so it takes the same fields, or some of them.")  # fmt: skip
        if given.missing and not wire.missing:
            log.warning("%s: the %s takes no missing %r, which the champion does: it passes on such requests", where, who, wire.name)


def _fits(one: TensorSpec, other: TensorSpec) -> bool:
    sizes = zip(one.shape, other.shape, strict=False)
    alike = all(a == b for a, b in sizes if isinstance(a, int) and isinstance(b, int))
    return len(one.shape) == len(other.shape) and one.batch_axis == other.batch_axis and alike


def _text(spec: TensorSpec) -> str:
    return f"{spec.dtype} {spec.shape}" + (f" of {list(spec.categories)}" if spec.categories else "")
