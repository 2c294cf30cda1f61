"""Nobody is called: a deployment served both ways in a network namespace where every packet is seen, native code's too."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import packages
import pytest

HERE = Path(__file__).parent
ALONE = "ip link set lo up && ip route add local default dev lo && ip -6 route add local default dev lo; exec \"$@\""


def unshared(*words, **rest):
    """Run a command where every address is this machine."""
    line = ["unshare", "--map-root-user", "--net", "sh", "-c", ALONE, "sh", *words]
    return subprocess.run(line, capture_output=True, text=True, timeout=150, check=False, **rest)


@pytest.fixture(scope="module")
def namespace():
    """Skips where this machine lets nobody have a network of its own."""
    if shutil.which("unshare") is None or shutil.which("ip") is None or unshared("true").returncode:
        pytest.skip("needs network namespaces")


@pytest.mark.slow
@pytest.mark.parametrize("how", ["portside", "bentoml"])
def test_nobody_is_called(tmp_path, namespace, how):
    file = packages.deployment(tmp_path / "d")
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent), "PORTSIDE_HOME": str(tmp_path / "home")}
    ran = unshared(sys.executable, str(HERE / "quiet.py"), str(file.parent), how, env=environment)
    assert ran.returncode == 0, ran.stderr[-2000:]
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told["answers"] == [200, 422, 200, 200] and told["packets"] > 50
    assert told["found"] == []


@pytest.mark.slow
def test_a_call_would_be_seen(namespace):
    code = """
import quiet, socket, time
listener = quiet.Listener()
listener.start()
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.9", 53))
socket.socket().connect_ex(("192.0.2.8", 443))
time.sleep(0.5)
print(sorted(listener.found))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)])}
    ran = unshared(sys.executable, "-c", code, env=environment)
    assert "['192.0.2.8', '192.0.2.9']" in ran.stdout, ran.stderr
