"""What users write as `ps.codec.X`, each imported when it is first named: images need Pillow, the others only numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .codec import KINDS, Codec, step_class

if TYPE_CHECKING:
    from .bpe import BPE
    from .category import Categories
    from .image import Image
    from .number import Number
    from .wordpiece import WordPiece

__all__ = ["BPE", "Categories", "Codec", "Image", "Number", "WordPiece"]


def __getattr__(name: str) -> object:
    for kind, (_, held) in KINDS.items():
        if held == name:
            return step_class(kind)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
