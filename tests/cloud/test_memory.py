"""Freed blocks are kept: told to glibc once, and only where nobody else has said how. What lives for good is set apart."""

import gc
import subprocess
import sys
import weakref

import pytest

from portside.cloud.memory import YOUNG, set_apart

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


class Version:
    """Something that holds itself, so that only the collector can free it."""

    def __init__(self):
        self.itself = self


@pytest.fixture
def collector():
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_what_lives_is_set_apart_until_the_next_version(collector):
    old = Version()
    seen = weakref.ref(old)
    set_apart()
    assert gc.get_freeze_count() > 10_000
    del old
    gc.collect()
    assert seen() is not None, "the collector does not look there, which is what saves the time"
    set_apart()
    assert seen() is None, "an old version is gone with the exchange"


def test_the_collector_looks_less_often_and_no_more_often_than_it_was_told(collector):
    gc.set_threshold(700, 10, 10)
    set_apart()
    assert gc.get_threshold() == (YOUNG, 10, 10)
    gc.set_threshold(3 * YOUNG, 5, 5)
    set_apart()
    assert gc.get_threshold() == (3 * YOUNG, 5, 5)
    gc.set_threshold(0, 5, 5)
    set_apart()
    assert gc.get_threshold() == (0, 5, 5), "whoever switched it off meant it"
