"""The systemd unit of an agent: restarted always, watched, bounded, and shut out of what it does not need.

`systemd-analyze security` rates it; what is left open is the network, which updates and the outbox need. Older managers warn of
RestartSteps (254) and go on without it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..sdk.core.errors import FormatError

_name = re.compile(r"[a-z0-9][a-z0-9-]{0,60}")
_size = re.compile(r"[1-9][0-9]*[KMGT]?|[1-9][0-9]?%")


@dataclass(frozen=True)
class UnitSettings:
    """One unit.

    Attributes:
        command: program and arguments; the program by its whole path.
        name: of the state folder, /var/lib/<name>, and of the folder of sockets, /run/<name>.
        description: for people.
        user: whom it runs as; None: one that systemd makes for it.
        groups: more groups, as "video" for cameras.
        devices: device nodes that it may open, as "/dev/video0"; with none it sees none.
        memory_max: systemd's MemoryMax, as "300M"; at nine tenths of it the kernel begins to slow it down (MemoryHigh).
        cpu_quota: percent of one core; None: all there are.
        tasks_max: threads and processes.
        watchdog_s: see watchdog.py; longer than its `turn_s`.
        restart_s, restart_max_s: the first wait before a restart, and the longest.
        stop_s: how long it may take to end before it is killed.
        writable: more folders that it writes to.
        environment: NAME -> value.
    """

    command: tuple[str, ...]
    name: str = "portside"
    description: str = "Portside edge agent"
    user: str | None = None
    groups: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    memory_max: str = "512M"
    cpu_quota: int | None = None
    tasks_max: int = 128
    watchdog_s: int = 30
    restart_s: int = 1
    restart_max_s: int = 60
    stop_s: int = 30
    writable: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = (("MALLOC_ARENA_MAX", "2"), ("OMP_NUM_THREADS", "1"))

    def __post_init__(self) -> None:
        """Raises FormatError."""
        if not self.command or not self.command[0].startswith("/"):
            raise FormatError("The unit needs a program by its whole path", got=" ".join(self.command) or "nothing")
        if _name.fullmatch(self.name) is None:
            raise FormatError("The name of the unit is not one", got=self.name[:60], expected="lower case letters, digits, dashes")
        if _size.fullmatch(self.memory_max) is None:
            raise FormatError("The memory of the unit is not a size", got=self.memory_max[:40], expected="300M, 1G or 50%")
        for path in (*self.devices, *self.writable):
            if not path.startswith("/"):
                raise FormatError("The unit needs whole paths", got=path[:60])


def unit_text(settings: UnitSettings) -> str:
    """The file, for /etc/systemd/system/<name>.service. Raises FormatError for text that holds a line end."""
    made = {"Unit": _unit(settings), "Service": [*_service(settings), *_limits(settings), *_walls(settings)],
            "Install": [("WantedBy", "multi-user.target")]}  # fmt: skip
    return "\n".join(f"[{title}]\n" + "".join(f"{key}={_checked(value)}\n" for key, value in lines) for title, lines in made.items())


def _unit(settings: UnitSettings) -> list[tuple[str, str]]:
    """It waits for no network, and systemd never gives up on it."""
    return [("Description", settings.description.replace("%", "%%")), ("After", "network.target"), ("StartLimitIntervalSec", "0")]


def _service(settings: UnitSettings) -> list[tuple[str, str]]:
    who = [("DynamicUser", "yes")] if settings.user is None else [("User", settings.user)]
    return [
        ("Type", "notify"), ("NotifyAccess", "main"), ("ExecStart", " ".join(map(quoted, settings.command))), *who,
        *([("SupplementaryGroups", " ".join(settings.groups))] if settings.groups else []),
        ("StateDirectory", settings.name), ("StateDirectoryMode", "0700"), ("RuntimeDirectory", settings.name),
        ("WorkingDirectory", f"/var/lib/{settings.name}"), ("UMask", "0077"),
        *(("Environment", quoted(f"{key}={value}", variables=False)) for key, value in settings.environment),
        ("WatchdogSec", str(settings.watchdog_s)), ("TimeoutStopSec", str(settings.stop_s)), ("Restart", "always"),
        ("RestartSec", str(settings.restart_s)), ("RestartSteps", "6"), ("RestartMaxDelaySec", str(settings.restart_max_s)),
    ]  # fmt: skip


def _limits(settings: UnitSettings) -> list[tuple[str, str]]:
    quota = [] if settings.cpu_quota is None else [("CPUQuota", f"{settings.cpu_quota}%")]
    high = _nine_tenths(settings.memory_max)
    return [("MemoryMax", settings.memory_max), *([("MemoryHigh", high)] if high else []), ("MemorySwapMax", "0"), *quota,
            ("TasksMax", str(settings.tasks_max)), ("LimitNOFILE", "1024"), ("LimitCORE", "0"), ("OOMPolicy", "stop")]  # fmt: skip


def _walls(settings: UnitSettings) -> list[tuple[str, str]]:
    """What it is shut out of."""
    closed = [("DeviceAllow", f"{device} rw") for device in settings.devices]
    devices = [("DevicePolicy", "closed"), *closed] if settings.devices else [("PrivateDevices", "yes")]
    yes = ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs",
           "ProtectControlGroups", "ProtectClock", "ProtectHostname", "RestrictSUIDSGID", "RestrictRealtime", "RestrictNamespaces",
           "LockPersonality")  # fmt: skip
    return [
        ("ProtectSystem", "strict"), *((name, "yes") for name in yes), *devices,
        *([("ReadWritePaths", " ".join(map(quoted, settings.writable)))] if settings.writable else []),
        ("CapabilityBoundingSet", ""), ("AmbientCapabilities", ""), ("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6"),
        ("SystemCallArchitectures", "native"), ("SystemCallFilter", "@system-service"), ("SystemCallErrorNumber", "EPERM"),
    ]  # fmt: skip


def quoted(word: str, variables: bool = True) -> str:
    r"""A word as systemd reads it back: its specifiers, variables, quotes and spaces are text.

    >>> print(quoted("100% $HOME"), quoted("--port"), quoted("a=$b", variables=False))
    "100%% $$HOME" --port a=$b
    """
    said = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    said = said.replace("$", "$$") if variables else said
    return said if re.fullmatch(r"[\w@%+=:,./$\\-]+", said) else f'"{said}"'


def environment_of(pairs: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """NAME=value as written on a command line. Raises FormatError."""
    split = [pair.partition("=") for pair in pairs]
    for name, mark, _ in split:
        if not mark or re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is None:
            raise FormatError("An environment variable is written NAME=value", got=name[:60])
    return tuple((name, value) for name, _, value in split)


def _nine_tenths(size: str) -> str | None:
    """Of a size with a unit of K, M, G or T, in the unit below; None for percents."""
    units = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
    return None if size.endswith("%") else str(int(size.rstrip("KMGT")) * units[size.lstrip("0123456789")] * 9 // 10)


def _checked(value: str) -> str:
    """One line, or nothing: a line end would begin another setting."""
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in value):
        raise FormatError("A setting of the unit holds a control character", got=repr(value[:60]))
    return value
