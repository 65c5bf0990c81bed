"""The machine and the resources of processes."""

import contextlib
import math
import os
import platform
import re
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from benchmarks.measuring.measured import Figure, NotMeasured


def describe() -> dict[str, object]:
    """CPU, memory, versions, load before the run and the time."""
    return {
        "cpu": _cpu_name(),
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "load_1m": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "flink": _version("apache-flink"),
        "onnxruntime": _version("onnxruntime-gpu"),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def speed(seconds: float = 0.5) -> float:
    """Million additions a second that one core makes in a loop of Python now: a shared machine's speed changes by half within
    minutes, and latencies with it."""
    until_s, rounds, started_s = time.perf_counter() + seconds, 0, time.perf_counter()
    while time.perf_counter() < until_s:
        total = 0
        for number in range(100_000):
            total += number
        rounds += 1
    return round(rounds / 10 / (time.perf_counter() - started_s), 1)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # benchmarks of the scorer or a training need no Flink
        return ""


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def rss_mb(pids: dict[str, int]) -> dict[str, Figure]:
    """Part -> resident memory of its process and its children, MB."""
    memory_mb = dict[str, Figure]()
    for part, pid in pids.items():
        try:
            process = psutil.Process(pid)
            family = [process, *process.children(recursive=True)]
            memory_mb[part] = round(sum(process.memory_info().rss for process in family) / 1e6)
        except psutil.NoSuchProcess:
            memory_mb[part] = NotMeasured(f"a process of {part} ended while it was asked")
    return memory_mb


def cpu_seconds(pids: dict[str, int]) -> dict[str, float]:
    """Part -> CPU seconds so far of its process and its children, ended children included; NaN if the process has ended."""
    cpu_s = {}
    for part, pid in pids.items():
        try:
            family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            cpu_s[part] = math.nan
            continue
        cpu_s[part] = 0.0
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended: its parent counts its seconds
                times = process.cpu_times()
                cpu_s[part] += times.user + times.system + times.children_user + times.children_system
    return cpu_s


def thread_seconds(pids: dict[str, int]) -> dict[str, float]:
    """`part: thread` -> CPU seconds so far of the threads with that name (without digits) in its process and its children."""
    cpu_s: dict[str, float] = {}
    for part, pid in pids.items():
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(pid)
            for process in [parent, *parent.children(recursive=True)]:
                for file in Path(f"/proc/{process.pid}/task").glob("*/stat"):
                    with contextlib.suppress(OSError):  # the thread has just ended
                        name, _, figures = file.read_text().partition("(")[2].rpartition(")")
                        user, system = figures.split()[11:13]
                        label = f"{part}: {re.sub('[0-9]', '', name).strip()}"
                        cpu_s[label] = cpu_s.get(label, 0.0) + (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return cpu_s
