"""Opening a model says nothing, and hides nothing."""

from __future__ import annotations

import os
import subprocess
import sys

from portside.runtimes.tflite.quiet import _unheard


def test_a_process_that_opens_an_artifact_says_nothing(mixed_artifact):
    code = "import sys, portside as ps; ps.load(sys.argv[1]).close(); ps.load(sys.argv[1]).close()"
    done = subprocess.run([sys.executable, "-P", "-c", code, mixed_artifact[1].path], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_process_without_stderr_opens_it_too(mixed_artifact):
    code = "import os, sys; os.close(2); import portside as ps; ps.load(sys.argv[1]).close()"
    subprocess.run([sys.executable, "-P", "-c", code, mixed_artifact[1].path], check=True)


def test_everything_else_is_said_in_order(capfd):
    def act() -> None:
        os.write(2, b"WARNING: one\nINFO: Created TensorFlow Lite XNNPACK delegate for CPU.\nERROR: two")
        raise RuntimeError

    _unheard(act)
    os.write(2, b"\nafterwards")
    assert capfd.readouterr().err == "WARNING: one\nERROR: two\nafterwards"
