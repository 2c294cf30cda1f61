"""The server that does as it is told is importable."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent)]
