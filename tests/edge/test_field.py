"""Days in the field: real processes, a network that is up a tenth of the time, clocks that jump, disks that fill, everything is killed.

Every number that an outbox gave away is at the server once, or was counted as given up; what was summarised is summed up once.
What it came to is written to the file that PORTSIDE_FIELD_JSON names.
"""

import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from field_network import Network
from sqlalchemy import func, select

from portside.cloud.fleet.devices import devices, enrol
from portside.cloud.fleet.doors import prepare
from portside.cloud.fleet.tables import ENTRIES
from portside.cloud.monitoring.tables import WINDOWS
from portside.cloud.records.database import Database
from portside.cloud.records.tables import RECORDS
from portside.runtimes.hardware import built_on, cores
from portside.sdk.provenance import git_state

HERE = Path(__file__).parent
HOURS = 72
SHORT, FULL = (18.0, 10), (600.0, 60)
"""Seconds that the hours take, and how often the network comes up in them; a device answers at the same pace in both."""
TIGHT, ROOMY = 1 << 20, 64 << 20
"""Quotas in bytes: cam-0 has too little room and gives up; cam-1 has enough for all that a fast machine answers in the short form."""
UP = 0.1


class Site:
    """One device: its process, what it said, and the most that its files took."""

    def __init__(self, folder, name, url, key, scale, quota):
        self.folder, self.name, self.said, self.facts, self.most, self.lives = folder / name, name, [], {}, 0, 0
        self.quota = quota
        self.folder.mkdir()
        self._words = [self.folder, name, url, key, str(quota), str(scale)]
        self.start()

    def start(self):
        self.lives += 1
        words = [sys.executable, HERE / "field_device.py", *self._words, str(self.lives)]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self._read, args=(self.process,))
        self.reader.start()

    def _read(self, process):
        with process.stdout:
            for line in process.stdout:
                if line.startswith("{"):
                    self.facts |= json.loads(line)
                elif line.endswith("\n"):
                    number, entry, kind, rows = line.split()
                    self.said.append((int(number), entry, kind, int(rows)))

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join()

    def look(self):
        """The files never take more than the quota, not even for a moment."""
        total = 0
        for path in self.folder.glob("outbox.*"):
            try:
                total += path.stat().st_size
            except FileNotFoundError:
                continue
        self.most = max(self.most, total)


class Server:
    """The process that devices send to."""

    def __init__(self, database):
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]
        self._words = [sys.executable, HERE / "field_server.py", database, str(self.port)]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self._words)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def ready(self):
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("the server does not start")


@pytest.mark.chaos
def test_days_in_the_field(tmp_path, effort, capsys):
    seconds, cycles = SHORT if effort == 1 else FULL
    quotas = {"cam-0": TIGHT, "cam-1": ROOMY if effort == 1 else int(ROOMY * seconds / SHORT[0] / 4)}
    scale, place, draw = HOURS * 3600 / seconds, tmp_path / "records.sqlite", random.Random(5)
    with Database.open(place) as database:
        prepare(type("Holds", (), {"database": database}))
        keys = {name: enrol(database, name, {}, 1) for name in quotas}
    server = Server(place)
    network = Network(server.port, 3)
    server.ready()
    sites = [Site(tmp_path, name, f"http://127.0.0.1:{network.port}", key, scale, quotas[name]) for name, key in keys.items()]
    watching, counts = threading.Event(), Counter()

    def watch():
        while not watching.wait(0.001):
            for site in sites:
                site.look()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(cycles):
            _cycle(seconds / cycles, network, server, sites, draw, counts)
        _come_home(network, server, sites)
    finally:
        watching.set()
        watcher.join()
        for site in sites:
            if site.process.poll() is None:
                site.kill()
        server.kill()
        network.close()
    with capsys.disabled():
        _judge(place, sites, network, counts, {"hours": HOURS, "seconds": seconds, "network_up": UP, "cycles": cycles})


def _cycle(seconds, network, server, sites, draw, counts):
    """Down for long, up for a short while; in each somebody is killed."""
    network.turn(False)
    time.sleep(seconds * (1 - UP))
    network.turn(True)
    time.sleep(seconds * UP / 2)
    victim = draw.choice([None, server, *sites])
    if victim is not None:
        counts["server killed" if victim is server else "device killed"] += 1
        victim.kill()
        victim.start()
    time.sleep(seconds * UP / 2)


def _come_home(network, server, sites):
    """The devices answer no more; the network stays up until nothing waits."""
    server.ready()
    for site in sites:
        (site.folder / "stop").touch()
    network.turn(True, kind=True)
    for site in sites:
        site.process.wait(630)
        site.reader.join()


def _numbers(database):
    found = {}
    with database.read() as connection:
        for device, number in connection.execute(select(ENTRIES.c.device, ENTRIES.c.sequence)):
            found.setdefault(device, set()).add(number)
    return found


def _judge(place, sites, network, counts, figures):
    """Print what happened, and hold every promise against it; `figures`: what is written down, begun."""
    with Database.open(place) as database, database.read() as connection:
        here = {row.id: row for row in connection.execute(select(ENTRIES))}
        kept = list(connection.execute(select(RECORDS.c.id, RECORDS.c.device, RECORDS.c.sequence)))
        summed = connection.execute(select(func.sum(WINDOWS.c.rows)).where(WINDOWS.c.level == "minute")).scalar() or 0
        numbers, known = _numbers(database), {one.id: one for one in devices(database)}
    print(f"\n{HOURS} simulated hours, network up {UP:.0%}: {dict(counts)}, connections {dict(network.fates)}")
    figures |= {"kills": dict(counts), "connections": dict(network.fates), "devices": [], "records": len(kept)}
    for site in sites:
        facts, taken = site.facts, len(numbers[site.name])
        assert not facts["waiting"] and facts["aside"] == 0, facts
        evicted = sum(count for name, count in facts["dropped"].items() if name.endswith(":evicted"))
        given = facts["next"] - 1
        print(f"  {site.name}: {given} numbers given, {taken} at the server, {evicted} given up and counted "
              f"({taken + evicted - given} of them had arrived), {site.lives - 1} kills, "
              f"largest {site.most} of {site.quota} bytes; dropped {facts['dropped']}")  # fmt: skip
        figures["devices"].append({"device": site.name, "numbers_given": given, "at_the_server": taken, "given_up": evicted,
                                   "neither": given - len(numbers[site.name] | set(facts["gone"])), "kills": site.lives - 1,
                                   "largest_bytes": site.most, "quota_bytes": site.quota, "dropped": facts["dropped"]})  # fmt: skip
        assert set(range(1, given + 1)) == numbers[site.name] | set(facts["gone"]), "every number is at the server, or was given up"
        assert len(facts["gone"]) == evicted, "and everything that was given up is counted"
        assert len({number for number, *_ in site.said}) == len(site.said), "no number is given twice"
        lost = [entry for _, entry, _, _ in site.said if entry not in here]
        assert len(lost) <= evicted and taken <= given
        urgent = [entry for _, entry, kind, _ in site.said if kind in ("error", "review", "check") and entry not in here]
        assert len(urgent) <= sum(facts["dropped"].get(f"{kind}:evicted", 0) for kind in ("error", "review", "check"))
        assert site.most <= site.quota and (site.name == "cam-0" or not evicted)
        assert known[site.name].lost == facts["dropped"] and known[site.name].missing <= evicted
    assert len({row.id for row in kept}) == len(kept) == len({(row.device, row.sequence) for row in kept})
    assert {row.id for row in kept} == {name for name, row in here.items() if row.kind != "summary"}
    rows = {entry: rows for site in sites for _, entry, kind, rows in site.said if kind == "summary"}
    arrived = [name for name, row in here.items() if row.kind == "summary"]
    unsaid = [name for name in arrived if name not in rows]  # killed between the disk and the word
    assert summed >= sum(rows.get(name, 0) for name in arrived) and (unsaid or summed == sum(rows[name] for name in arrived))
    print(f"  records {len(kept)}, summaries {len(arrived)} of {summed} rows, bytes sent {len(network.sent)}")
    assert counts["server killed"] and counts["device killed"] and {"cut", "deaf", "refused"} <= set(network.fates)
    _write(figures | {"summaries": len(arrived), "summed_rows": summed, "records_twice": len(kept) - len({row.id for row in kept})})


def _write(figures):
    """When, at which commit and on what, as benchmarks write theirs."""
    if place := os.environ.get("PORTSIDE_FIELD_JSON"):
        head = {"taken": datetime.now(UTC).isoformat(timespec="seconds"), "commit": git_state(HERE), "on": {**built_on(), "cores": cores()}}
        Path(place).write_text(json.dumps({**head, "results": {"field": [figures]}}, indent=2) + "\n", encoding="utf-8")
