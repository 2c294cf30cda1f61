"""What stands beside these tests, and beside those of releases, can be imported by its name."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "releasing")]
