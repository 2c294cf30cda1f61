"""A repository with keys of every role, and a clock that is moved by hand."""

from __future__ import annotations

# pyright: reportPrivateImportUsage=false
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from portside.sdk.core.release import Release, ReleasePart
from portside.sdk.signing.repository import Repository


class Signed:
    """A repository of which two of three root keys must sign."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_800_000_000.0
        self.roots = [CryptoSigner.generate_ed25519() for _ in range(3)]
        self.targets, self.online = CryptoSigner.generate_ed25519(), CryptoSigner.generate_ed25519()
        self.folder = folder
        self.repository = Repository(folder / "repository", lambda: self.now)

    def create(self) -> bytes:
        public = {"root": [key.public_key for key in self.roots], "targets": [self.targets.public_key],
                  "snapshot": [self.online.public_key], "timestamp": [self.online.public_key]}  # fmt: skip
        return self.repository.create(public, [*self.roots[:2], *self.signers])

    @property
    def signers(self) -> list[CryptoSigner]:
        return [self.targets, self.online]

    def release(self, content: bytes, *targets: str, name: str = "inspector") -> tuple[Release, dict[str, Path]]:
        """A release and its folders by platform."""
        parts, folders = [], {}
        for target in targets or ("tflite",):
            folder = self.folder / "artifacts" / f"{content.hex()[:8]}-{target}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "artifact.json").write_bytes(content)
            (folder / "same.bin").write_bytes(b"same" * 3000)
            parts.append(ReleasePart(target, "any", "sha256:" + "a" * 64, "passed", 1))
            folders[target] = folder
        digest = "sha256:" + content.hex().ljust(64, "0")[:64]
        return Release(name, "sha256:" + "b" * 64, tuple(parts), digest), folders


@pytest.fixture
def signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Signed:
    monkeypatch.setattr("os.fsync", lambda handle: None)  # no power is cut here
    held = Signed(tmp_path)
    held.create()
    return held
