"""`Signing`: where a release is published for devices, and the keys that sign it; what `release(..., sign=)` takes.

ps.release([artifact], sign=ps.Signing("releases", keys=["keys/targets.pem", "keys/online.pem"]))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..core.release import Release
from ..core.release_index import ReleaseIndex
from ..store import Store
from .keys import Passphrase, SigningKey, read_key
from .publish import publish
from .repository import Repository


@dataclass(frozen=True)
class Signing:
    """A signed repository and the keys of its targets, snapshot and timestamp.

    Attributes:
        repository: its folder, made by `portside sign init`.
        keys: private keys, or their files.
        passphrase: from the name of a sealed key to what opens it; asked when something is signed.
        platforms: e.g. "tflite"; default every one of the release.
    """

    repository: Path | str
    keys: Sequence[SigningKey | Path | str]
    passphrase: Passphrase | None = field(default=None, repr=False)
    platforms: Sequence[str] = ()

    def publish(self, store: Store, release: Release) -> tuple[ReleaseIndex, ...]:
        """Sign a release of a store. Raises as `publish.publish` and `keys.read_key`."""
        held = [key if isinstance(key, SigningKey) else read_key(Path(key), self.passphrase) for key in self.keys]
        signers = [key.signer for key in held]
        return publish(Repository(self.repository), store, release.name, signers, digest=release.digest, platforms=self.platforms)
