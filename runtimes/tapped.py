"""A session whose `run` gives the values of boundaries beside the outputs, as "boundary/value".

For records: the features that were really used are kept, and whoever carries a session's outputs (lanes, worker processes, batches)
need not know that some of them are no outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..sdk.core.errors import FormatError
from ..sdk.core.signature import Array
from .base import Cancel, LoadOptions, Session, runtime
from .session import ProgramSession


class TappedSession:
    """A program session with taps.

    Args:
        session: whose artifact was compiled with these taps.
        taps: boundaries, e.g. ("features",).

    Attributes:
        info: of the session: taps are no part of its signature.

    Raises FormatError for a boundary that was not compiled in.
    """

    def __init__(self, session: ProgramSession, taps: Sequence[str]) -> None:
        if lacking := [tap for tap in taps if tap not in session.taps]:
            raise FormatError(f"The artifact was compiled without the tap {lacking[0]!r}", got=", ".join(session.taps) or "no taps",
                              fix=f"Compile it with --tap {lacking[0]}.")  # fmt: skip
        self.info, self._session, self._taps = session.info, session, tuple(taps)
        self._names = [(name, tap_name(tap, name)) for tap in taps for name in session.taps[tap]]

    def run(self, inputs: Mapping[str, Any], cancel: Cancel | None = None) -> dict[str, Array]:
        """As `Session.run`, with the tapped values behind the outputs."""
        outputs, inner = self._session.run_tapped(inputs, self._taps, cancel)
        outputs.update({shown: inner[name] for name, shown in self._names})
        return outputs

    def predict(self, inputs: Any = None, cancel: Cancel | None = None) -> dict[str, Array]:
        """As `Session.predict`: outputs alone."""
        return self._session.predict(inputs, cancel)

    def close(self) -> None:
        """As `Session.close`."""
        self._session.close()


def tap_name(boundary: str, value: str) -> str:
    """What a tapped value is called beside the outputs."""
    return f"{boundary}/{value}"


def open_by_runtime(target: str, artifact: Path, options: LoadOptions) -> Session:
    """The session of an artifact, by its target's runtime, with the taps that `options` ask for.

    Raises what `Runtime.load` raises, and FormatError for taps that were not compiled in.
    """
    session = runtime(target).load(artifact, options)
    if not options.taps:
        return session
    if not isinstance(session, ProgramSession):
        session.close()
        raise FormatError(f"Sessions of {target} have no taps", got=", ".join(options.taps), expected="onnx-cpu or tflite")
    return TappedSession(session, options.taps)
