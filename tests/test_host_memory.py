"""Memory that is left, read from made trees of /proc and of control groups."""

import subprocess
import sys
from pathlib import Path

import pytest

from understudy import host_memory

GB = 10**9


@pytest.fixture
def machine(tmp_path: Path):
    """Function that gives the two folders of a machine whose files hold these texts."""

    def make(**texts: str) -> dict[str, Path]:
        roots = {"proc": tmp_path / "proc", "groups": tmp_path / "groups"}
        (roots["proc"] / "self").mkdir(parents=True, exist_ok=True)
        roots["groups"].mkdir(exist_ok=True)
        (roots["proc"] / "meminfo").write_text(
            "MemTotal:       16000000 kB\nMemAvailable:    8000000 kB\n"
        )
        for name, text in texts.items():
            path = tmp_path / name.replace("__", "/").replace("_dot_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return roots

    return make


def test_what_the_machine_has_left(machine) -> None:
    assert host_memory.free_host_memory(**machine()) == 8_000_000 * 1024


def test_a_container_has_what_its_group_leaves(machine) -> None:
    found = host_memory.free_host_memory(
        **machine(
            proc__self__cgroup="0::/\n",
            groups__memory_dot_max="3000000000\n",
            groups__memory_dot_current="2500000000\n",
            groups__memory_dot_stat="anon 5\ninactive_file 400000000\nactive_file 7\n",
        )
    )
    assert found == 900_000_000


def test_the_tightest_of_nested_groups_counts(machine) -> None:
    texts = {
        "proc__self__cgroup": "0::/jobs/mine\n",
        "groups__jobs__memory_dot_max": "2000000000",
        "groups__jobs__memory_dot_current": "1500000000",
        "groups__jobs__mine__memory_dot_max": "max",
        "groups__jobs__mine__memory_dot_current": "1000000000",
    }
    assert host_memory.free_host_memory(**machine(**texts)) == 500_000_000


def test_groups_of_the_first_version_count_too(machine) -> None:
    texts = {
        "proc__self__cgroup": "7:cpu,cpuacct:/x\n5:memory:/x\n",
        "groups__memory__x__memory_dot_limit_in_bytes": "1000000000",
        "groups__memory__x__memory_dot_usage_in_bytes": "1200000000",
        "groups__memory__memory_dot_limit_in_bytes": "9223372036854771712",
        "groups__memory__memory_dot_usage_in_bytes": "1200000000",
    }
    assert host_memory.free_host_memory(**machine(**texts)) == 0


def test_a_system_that_does_not_say_is_unknown(tmp_path: Path) -> None:
    assert host_memory.free_host_memory(proc=tmp_path, groups=tmp_path) is None
    assert host_memory.peak_of_process(proc=tmp_path) is None
    assert not host_memory.forget_peak(proc=tmp_path / "no")


@pytest.mark.skipif(sys.platform != "linux", reason="limits address space")
def test_a_limit_of_address_space_counts() -> None:
    code = (
        "import resource\nfrom understudy import host_memory\n"
        "resource.setrlimit(resource.RLIMIT_AS, (400 << 20, resource.RLIM_INFINITY))\n"
        "print(host_memory.free_host_memory())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0 < int(done.stdout) < 400 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_peak_of_a_process_can_begin_anew() -> None:
    code = (
        "from understudy import host_memory as h\n"
        "first = h.peak_of_process()\nlarge = bytearray(80 << 20)\ndel large\n"
        "high = h.peak_of_process()\nforgot = h.forget_peak()\nlow = h.peak_of_process()\n"
        "print(forgot, high[1] - first[1], low[1] - low[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    forgot, high, low = done.stdout.split()
    assert int(high) > 70 << 20
    assert forgot != "True" or int(low) < 10 << 20


def test_the_machine_has_at_least_what_is_free() -> None:
    total, free = host_memory.host_memory(), host_memory.free_host_memory()
    assert total is None or free is None or 0 < free <= total
