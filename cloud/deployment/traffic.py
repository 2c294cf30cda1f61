"""Who is given which arm, as the one controller decided it: a small file that every worker of a server looks at.

    $PORTSIDE_HOME/deployments/NAME-HASH/traffic.json

The database of the deployment is the truth; the file is made from it, again and again, and replaced in one step. A worker without it, or
with one that names challengers it does not hold, gives everyone the champion.

An entity keeps its arm: the share is held against a number made from the rollout's salt and the entity, so whoever is given the
challenger at 1% is also given it at 5%. A request about nobody is drawn anew.

    >>> traffic = Traffic(1, "r1", "canary", ("sha256:ab",), share=0.5, salt="r1")
    >>> [traffic.position(name) < traffic.share for name in ("ana", "ben", "cem", "dia")]
    [False, True, True, True]
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import TypeAdapter

from ...sdk.core.errors import FormatError
from ...sdk.core.file_errors import complaint
from .generation import replace_file, stamp

FILE = "traffic.json"
Phase: TypeAlias = Literal["gates", "waiting", "shadow", "canary", "switched", "promoted", "rolled back", "ended"]
"""Where a rollout is: "switched" is everyone on the challenger while that is still watched; "waiting" for a person before any traffic;
"ended": of mode "shadow", with a verdict and no traffic."""


@dataclass(frozen=True)
class Traffic:
    """What the workers of a deployment do.

    Attributes:
        serial: larger with every change.
        rollout: its id; empty where there is none.
        phase: where it is.
        challengers: digests of packages; in phases other than "shadow" exactly one.
        share: of the entities of `segment`, those that are given the challenger.
        segment: "field=value": rows of others are the champion's; None: everyone.
        salt: of the entities' positions.
    """

    serial: int = 0
    rollout: str = ""
    phase: Phase = "rolled back"
    challengers: tuple[str, ...] = ()
    share: float = 0.0
    segment: str | None = None
    salt: str = ""

    @property
    def shadows(self) -> bool:
        """Challengers are asked beside the champion, and nobody is given their answers."""
        return self.phase == "shadow"

    def position(self, entity: str) -> float:
        """Where an entity stands in [0, 1); below `share` it is given the challenger."""
        drawn = hashlib.blake2b(entity.encode(errors="surrogatepass"), digest_size=7, key=self.salt.encode()[:64]).digest()
        return int.from_bytes(drawn, "big") / (1 << 56)


_SHAPE = TypeAdapter(Traffic)
NOBODY = Traffic()
"""Everyone is given the champion."""


def write_traffic(folder: Path, traffic: Traffic) -> None:
    """Let the workers know, in one step. Raises OSError."""
    replace_file(folder / FILE, asdict(traffic))


def read_traffic(folder: Path) -> Traffic:
    """What stands there; NOBODY where nothing does. Raises FormatError for a file that cannot be read."""
    path = folder / FILE
    try:
        return _parsed(path.read_bytes())
    except FileNotFoundError:
        return NOBODY
    except (OSError, ValueError) as error:
        fix = "The controller of the rollout makes it anew."
        raise FormatError(f"The file of arms cannot be read: {complaint(error)}", got=str(path), fix=fix) from error


def _parsed(text: bytes) -> Traffic:
    """All of it, of the right types: requests are answered by it. Raises ValueError."""
    held = _SHAPE.validate_json(text, strict=True)
    if lacking := set(asdict(held)) - set(json.loads(text)):
        raise ValueError(f"it lacks {', '.join(sorted(lacking))}")
    if not 0 <= held.share <= 1:
        raise ValueError(f"a share of {held.share}")
    return held


def traffic_stamp(folder: Path) -> int:
    """Changes whenever the file is replaced; 0 where there is none."""
    return stamp(folder, FILE)
