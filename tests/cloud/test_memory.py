"""Freed blocks are kept: told to glibc once, and only where nobody else has said how."""

import subprocess
import sys

CODE = """
import resource
from portside.cloud.memory import keep_freed_blocks
told = keep_freed_blocks()
def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20): blocks = [bytearray(600_000) for _ in range(4)]; del blocks
before = faults()
for _ in range(50): blocks = [bytearray(600_000) for _ in range(4)]; del blocks
print(told, faults() - before)
"""


def run(**environment):
    ran = subprocess.run([sys.executable, "-c", CODE], env={"PATH": "/usr/bin", **environment}, capture_output=True, text=True, check=True)
    told, faults = ran.stdout.split()
    return told == "True", int(faults)


def test_large_blocks_are_not_mapped_anew():
    told, faults = run()
    mapped = 50 * 4 * 600_000 // 4096
    assert not told or faults < mapped // 10


def test_the_environment_has_the_last_word():
    assert run(MALLOC_TRIM_THRESHOLD_="131072")[0] is False
    assert run(GLIBC_TUNABLES="glibc.malloc.trim_threshold=131072")[0] is False
