"""What stands beside these tests can be imported by its name."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent)]
