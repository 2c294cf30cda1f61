"""The cut that tests of distillation begin with: a network too narrow to be right before it was taught."""

from __future__ import annotations

import portside as ps

NARROWER = ps.Prune(0.2, steps=1, epochs=0, round_to=4)
