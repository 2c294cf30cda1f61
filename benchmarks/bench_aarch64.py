"""The agent on an aarch64 device, emulated: does it prove the artifact there, answer over HTTP, and say what this machine says?

    python benchmarks/bench_aarch64.py [--json FILE]

Needs Debian's `qemu-user-static`, `apt-get` and `dpkg`, and a package index. A CPython of Debian's arm64 packages is unpacked into a
folder of its own (nothing is installed here), wheels for aarch64 and the working tree's wheel beside it, and all of it runs under
qemu-user. Artifacts are compiled on this machine, as a build machine would. Answers are compared; times and memory of an emulation say
nothing of a device, and are shown only so that nobody waits in vain.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from bench_footprint import LITERT, SIDES, _wheel

from portside.runtimes.compiling import compile as compile_package
from portside.runtimes.loading import load
from portside.runtimes.samples import SAMPLES
from portside.runtimes.timing import table

EMULATOR = "qemu-aarch64-static"
DEBIAN = ("python3.11", "python3.11-minimal", "libpython3.11-minimal", "libpython3.11-stdlib", "libc6", "libgcc-s1", "libstdc++6", "zlib1g",
          "libexpat1", "libssl3", "libsqlite3-0", "libffi8", "libbz2-1.0", "liblzma5", "libuuid1", "libcrypt1", "media-types")  # fmt: skip
PLATFORMS = ("manylinux2014_aarch64", "manylinux_2_27_aarch64", "manylinux_2_28_aarch64")
ENGINES = {"tflite": [LITERT], "onnx-cpu": ["onnxruntime==1.31.1", "onnx==1.23.2"]}
CORE = """processor	: 0
BogoMIPS	: 125.00
Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x0
CPU part	: 0xd08
CPU revision	: 3
"""
"""A Cortex-A72. Both engines read which core they run on, and crash where they find an x86 one, which is what the emulator shows them."""


def measure() -> list[dict[str, Any]]:
    """One row per target: what was said there, and how far it is from what is said here."""
    if missing := [tool for tool in (EMULATOR, "apt-get", "dpkg") if shutil.which(tool) is None]:
        raise FileNotFoundError(f"{missing[0]} is not installed")
    with tempfile.TemporaryDirectory() as work:
        root, site = _python(Path(work)), _packages(Path(work))
        return [_row(target, Path(work), root, site) for target in ENGINES]


def _row(target: str, work: Path, root: Path, site: Path) -> dict[str, Any]:
    artifact = compile_package(SAMPLES["mixed"]().write(work / f"{target}.package"), target, work / target)
    inputs = SAMPLES["mixed"]().inputs(1)
    body = work / "body.json"
    body.write_text(json.dumps({"inputs": {name: value.tolist() for name, value in inputs.items()}}))
    run = [EMULATOR, "-L", root, "-E", f"PYTHONPATH={site}", root / "usr/bin/python3.11", SIDES / "aarch64.py", artifact.path, body]
    done = subprocess.run([*run, work / f"device-{target}"], capture_output=True, text=True, check=False)
    if done.returncode:
        return {"target": target, "rc": done.returncode, "stderr": done.stderr[-2000:]}
    there = json.loads(done.stdout.splitlines()[-1])
    here = load(artifact).run(inputs)
    off = {name: float(np.abs(np.asarray(there["said"]["outputs"][name], np.float64) - value).max()) for name, value in here.items()}
    return {"target": target, "rc": 0, **there, "largest_difference": off}


def _python(work: Path) -> Path:
    """A folder with an aarch64 CPython, and what the emulator shows instead of this machine's core."""
    apt, root = work / "apt", work / "root"
    for folder in ("lists/partial", "cache/archives/partial", "debs"):
        (apt / folder).mkdir(parents=True)
    (apt / "status").touch()
    conf = ['APT::Architecture "arm64"', 'APT::Architectures {"arm64";}', 'APT::Sandbox::User "root"', f'Dir::State "{apt}"',
            f'Dir::State::lists "{apt}/lists"', f'Dir::State::status "{apt}/status"', f'Dir::Cache "{apt}/cache"']  # fmt: skip
    (apt / "conf").write_text("".join(f"{line};\n" for line in conf))
    tools = {"cwd": apt / "debs", "env": {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "APT_CONFIG": str(apt / "conf")}}
    subprocess.run(["apt-get", "-qq", "update"], check=False, **tools)  # a source without arm64 is no harm
    subprocess.run(["apt-get", "-qq", "download", *DEBIAN], check=True, **tools)
    for package in (apt / "debs").glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, root], check=True)
    cpu = root / "sys/devices/system/cpu"
    files = {"possible": 0, "present": 0, "online": 0, "kernel_max": 8191, "cpu0/topology/physical_package_id": 0,
             "cpu0/topology/core_id": 0, "cpu0/topology/cluster_cpus_list": 0}  # fmt: skip
    for cache, level in enumerate((1, 1, 2)):
        files |= {f"cpu0/cache/index{cache}/{name}": said for name, said in (("level", level), ("size", "32K"), ("shared_cpu_list", 0))}
    for name, said in files.items():
        (cpu / name).parent.mkdir(parents=True, exist_ok=True)
        (cpu / name).write_text(f"{said}\n")
    (root / "proc").mkdir()
    (root / "proc/cpuinfo").write_text(CORE)
    return root


def _packages(work: Path) -> Path:
    """A folder with what pip would install on the device."""
    wheel, wheels, site = _wheel(work), work / "wheels", work / "site"
    needs = [f"{wheel}[edge]", *(need for engine in ENGINES.values() for need in engine)]
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", wheels, "--only-binary=:all:", "--python-version", "3.11",
               "--implementation", "cp", *platforms, *needs]  # fmt: skip
    subprocess.run(command, check=True)
    for file in wheels.glob("*.whl"):
        with zipfile.ZipFile(file) as packed:
            packed.extractall(site)
    return site


def show(rows: list[dict[str, Any]]) -> str:
    """The table that people read."""
    head = ["target", "machine", "Python", "contract there", "HTTP", "largest difference", "start s"]
    return table([head, *(_shown(row) for row in rows)])


def _shown(row: dict[str, Any]) -> list[str]:
    if row["rc"]:
        return [row["target"], *[""] * 3, f"ended with {row['rc']}", "", ""]
    proven = "passed" if row["update"] == "active" else row["update"]
    return [row["target"], row["machine"], row["python"], proven, str(row["status"]), f"{max(row['largest_difference'].values()):.1e}",
            f"{row['start_s']:.0f}"]  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where the figures go too")
    chosen = parser.parse_args()
    rows = measure()
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=2) + "\n")
    print(show(rows))


if __name__ == "__main__":
    main()
