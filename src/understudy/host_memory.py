"""How much memory of the host this process may still take, as its system says.

Files of /proc and of the control groups in, bytes out. The least of what is free on the machine, of
what the process's control groups leave (containers and batch systems set them) and of its own limit
of address space (`ulimit -v`). Linux tells all three; other systems how much there is at all.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

PROC, GROUPS = Path("/proc"), Path("/sys/fs/cgroup")


def host_memory() -> int | None:
    """Bytes of memory the machine has; None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def free_host_memory(*, proc: Path = PROC, groups: Path = GROUPS) -> int | None:
    """Bytes this process may still take; None where the system does not say."""
    limits = [_available(proc), _address_space(proc), *_left_in_groups(proc, groups)]
    return min((max(0, limit) for limit in limits if limit is not None), default=None)


def peak_of_process(*, proc: Path = PROC) -> tuple[int, int] | None:
    """Bytes this process holds, and the most it held since `forget_peak`."""
    status = _read(proc / "self/status")
    now, peak = (_kilobytes(status, name) for name in ("VmRSS", "VmHWM"))
    return None if now is None or peak is None else (now, peak)


def forget_peak(*, proc: Path = PROC) -> bool:
    """Let the peak of this process begin anew; whether the system can."""
    try:
        (proc / "self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _available(proc: Path) -> int | None:
    return _kilobytes(_read(proc / "meminfo"), "MemAvailable")


def _address_space(proc: Path) -> int | None:
    try:
        import resource  # not on every system
    except ImportError:
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    taken = _kilobytes(_read(proc / "self/status"), "VmSize")
    return None if limit == resource.RLIM_INFINITY or taken is None else limit - taken


def _left_in_groups(proc: Path, groups: Path) -> Iterator[int]:
    """What each control group of the process leaves, and each group that one is in."""
    for line in _read(proc / "self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        kinds, _, path = rest.partition(":")
        if number == "0":
            root, names = groups, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in kinds.split(","):
            root = groups / "memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        place = root / path.lstrip("/")
        while place == root or root in place.parents:
            yield from _left(place, *names)
            place = place.parent


def _left(group: Path, limit: str, taken: str, spare: str) -> Iterator[int]:
    most, now = _read(group / limit).strip(), _read(group / taken).strip()
    if most.isdecimal() and now.isdecimal():
        # pages of files that nobody looks at are given up before anything else
        found = re.search(rf"^{spare} (\d+)$", _read(group / "memory.stat"), re.MULTILINE)
        yield int(most) - int(now) + (int(found.group(1)) if found else 0)


def _kilobytes(text: str, name: str) -> int | None:
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    return int(found.group(1)) * 1024 if found else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
