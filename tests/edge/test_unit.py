"""The unit file: what systemd itself says of it, what it holds, and what cannot get into it."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from portside.edge.unit import UnitSettings, environment_of, quoted, unit_text
from portside.sdk.core.errors import FormatError

ALL = {"devices": ("/dev/null",), "user": "root", "groups": ("root",), "cpu_quota": 50, "writable": ("/tmp/a b",),
       "environment": (("A", 'b "c" $d %e'),), "description": "50% more"}  # fmt: skip
COMMAND = ("/bin/true", "edge", "run", "/etc/portside/agent.toml")


def parsed(settings):
    """Section -> key -> values."""
    found = {}
    section = ""
    for line in unit_text(settings).splitlines():
        if line.startswith("["):
            section = line.strip("[]")
            found[section] = {}
        elif line:
            key, _, value = line.partition("=")
            found[section].setdefault(key, []).append(value)
    return found


def test_what_it_holds():
    found = parsed(UnitSettings(COMMAND, memory_max="300M", cpu_quota=50, watchdog_s=45))
    assert list(found) == ["Unit", "Service", "Install"]
    service = found["Service"]
    expected = {"Type": "notify", "ExecStart": "/bin/true edge run /etc/portside/agent.toml", "WatchdogSec": "45", "Restart": "always",
                "MemoryMax": "300M", "MemoryHigh": str(300 * (1 << 20) * 9 // 10), "CPUQuota": "50%", "ProtectSystem": "strict",
                "StateDirectory": "portside", "NoNewPrivileges": "yes", "DynamicUser": "yes", "PrivateDevices": "yes",
                "CapabilityBoundingSet": ""}  # fmt: skip
    assert {key: service[key][0] for key in expected} == expected
    assert found["Unit"]["StartLimitIntervalSec"] == ["0"], "systemd never gives up on it"


def test_devices_users_and_folders():
    service = parsed(UnitSettings(COMMAND, user="cam", groups=("video",), devices=("/dev/video0",), writable=("/data/my shots",)))[
        "Service"
    ]
    assert service["User"] == ["cam"] and "DynamicUser" not in service and "PrivateDevices" not in service
    assert service["DeviceAllow"] == ["/dev/video0 rw"] and service["DevicePolicy"] == ["closed"]
    assert service["ReadWritePaths"] == ['"/data/my shots"'] and service["SupplementaryGroups"] == ["video"]


@pytest.mark.parametrize(
    "wrong",
    [{"command": ()}, {"command": ("portside",)}, {"name": "../x"}, {"name": "A"}, {"memory_max": "lots"}, {"devices": ("video0",)},
     {"writable": ("data",)}],
)  # fmt: skip
def test_settings_that_are_wrong(wrong):
    with pytest.raises(FormatError):
        UnitSettings(**{"command": COMMAND, **wrong})


@pytest.mark.parametrize("field", ["description", "user", "command", "environment"])
def test_no_setting_begins_another_line(field):
    evil = "x\nExecStartPre=/bin/evil"
    value = {"command": ("/bin/true", evil), "environment": (("A", evil),)}.get(field, evil)
    with pytest.raises(FormatError, match="control character"):
        unit_text(UnitSettings(**{"command": COMMAND, field: value}))


def test_words_are_text():
    assert quoted('say "hi" \\ 5%') == '"say \\"hi\\" \\\\ 5%%"'
    assert quoted("") == '""' and quoted("$X") == "$$X"
    assert environment_of(["A=1=2", "B="]) == (("A", "1=2"), ("B", ""))
    for wrong in ("A", "1A=2", "=x"):
        with pytest.raises(FormatError):
            environment_of([wrong])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
@pytest.mark.parametrize("more", [{}, ALL])
def test_systemd_takes_it(more, tmp_path):
    unit, text = tmp_path / "portside.service", unit_text(UnitSettings(COMMAND, **more))
    told = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, timeout=60, check=True).stdout
    if int(told.split()[1]) < 254:  # it would warn of these two, and go on
        text = "".join(line for line in text.splitlines(True) if not line.startswith(("RestartSteps=", "RestartMaxDelaySec=")))
    unit.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
