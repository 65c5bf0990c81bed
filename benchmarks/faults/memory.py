"""The memory of processes as the kernel counts it, and its growth: a slope with a confidence interval."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

MB = 2**20
Z95 = 1.96
BLOCK_S = 60.0  # samples closer than this correlate: a heap grows between two collections
MIN_BLOCKS = 8  # and minimum number of samples
COMPRESSED = 32 * 2**30  # bytes: addresses of a heap with compressed object pointers


class Memory(NamedTuple):
    """MB of a process. `pss`: its private memory and its share of shared memory; `anonymous`: memory without a file."""

    pss: float
    anonymous: float


class Slope(NamedTuple):
    """The rise an hour, and half the width of its 95 % confidence interval."""

    an_hour: float
    half_width: float

    @property
    def lowest(self) -> float:
        """The lower end of the interval."""
        return self.an_hour - self.half_width


def memory_of(pid: int) -> Memory:
    """Reads /proc/PID/smaps_rollup. Raises `OSError` if the process has ended."""
    memory = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, kb = line.split()[:2]
        memory[name] = int(kb) / 1024
    return Memory(memory["Pss:"], memory["Anonymous:"])


def java_heap_mb(pid: int) -> float:
    """How much of its heap a JVM has touched so far, MB: it touches what it has committed bit by bit.

    The heap is what lies below 32 GiB without a name: there the JVM puts it, so that 32 bits address an object.
    """
    resident, is_heap = 0, False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        words = line.split()
        if not words[0].endswith(
            ":"
        ):  # a mapping: addresses, rights, offset, device, inode, and a name where it has one
            is_heap = len(words) == 5 and int(words[0].split("-")[0], 16) < COMPRESSED
        elif is_heap and words[0] == "Rss:":
            resident += int(words[1])
    return resident / 1024


def slope_an_hour(seconds: Sequence[float], values: Sequence[float]) -> Slope:
    """Least squares over the means of minutes (or of eighths of the time, if it is shorter than eight minutes).

    Neighbouring samples correlate, so an interval from the samples would contain the true slope in only half of the cases.
    From the means it does in nine of ten cases at a correlation of 0.8 (samples 5 s apart), and in 19 of 20 at less.
    """
    x: npt.NDArray[np.float64] = np.asarray(seconds) / 3600
    y: npt.NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    if len(x) < MIN_BLOCKS:
        raise ValueError(f"a slope wants {MIN_BLOCKS} samples, there are {len(x)}")
    hours = x[-1] - x[0]
    blocks = max(MIN_BLOCKS, int(hours * 3600 / BLOCK_S))
    block = np.minimum(((x - x[0]) / hours * blocks).astype(int), blocks - 1)
    counts = np.bincount(block, minlength=blocks)
    means = [np.bincount(block, axis, blocks)[counts > 0] / counts[counts > 0] for axis in (x, y)]
    x, y = means[0] - means[0].mean(), means[1] - means[1].mean()
    spread, free = float((x**2).sum()), len(x) - 2
    slope = float((x * y).sum() / spread)
    error = float(np.sqrt(((y - slope * x) ** 2).sum() / free / spread))
    return Slope(slope, error * (Z95 + (Z95**3 + Z95) / (4 * free)))  # Student's t, to its first term


@dataclass
class Watch:
    """Samples the memory of named processes."""

    pids: Callable[[], Mapping[str, int]]
    samples: list[dict[str, Memory]] = field(default_factory=list)
    at_s: list[float] = field(default_factory=list)  # s since the first sample
    restarts: dict[str, int] = field(default_factory=dict)
    _pids_before: dict[str, int] = field(default_factory=dict)
    _started_s: float = 0.0

    def sample(self) -> None:
        """Samples each process. A new pid counts as a restart."""
        self._started_s = self._started_s or time.monotonic()
        pids = self.pids()
        for name in self._pids_before.keys() | pids.keys():
            self.restarts.setdefault(name, 0)
            if name in self._pids_before and self._pids_before[name] != pids.get(name):
                self.restarts[name] += 1
        self._pids_before = self._pids_before | dict(pids)
        self.at_s.append(time.monotonic() - self._started_s)
        sample = {}
        for name, pid in pids.items():
            with contextlib.suppress(OSError):  # it has just ended: the next sample counts that
                sample[name] = memory_of(pid)
        self.samples.append(sample)

    def slopes(self, kind: str, since_s: float) -> dict[str, Slope]:
        """Process -> slope of `pss` or `anonymous` (MB) over the samples from `since_s` on."""
        recent = [(at_s, sample) for at_s, sample in zip(self.at_s, self.samples, strict=True) if at_s >= since_s]
        names = sorted({name for _, sample in recent for name in sample})
        return {
            name: slope_an_hour(
                [at_s for at_s, sample in recent if name in sample],
                [getattr(sample[name], kind) for _, sample in recent if name in sample],
            )
            for name in names
        }


@dataclass
class Growth:
    """The growth of one process: MB at the end, slopes, and whether it is `flat` or below `bound_mb`."""

    process: str
    memory: Memory
    pss: Slope
    anonymous: Slope
    restarts: int
    limit: float
    bound_mb: float | None

    @property
    def flat(self) -> bool:
        """Whether the interval contains a slope below `limit` MB an hour."""
        return self.anonymous.lowest < self.limit

    @property
    def kept(self) -> bool:
        """Whether memory is flat or bounded, and the process never restarted."""
        bounded = self.bound_mb is not None and self.memory.anonymous < self.bound_mb
        return self.restarts == 0 and (self.flat or bounded)


def growths(watch: Watch, since_s: float, limit: float, bounds_mb: Mapping[str, float]) -> list[Growth]:
    """The growth of each process. `limit`: MB an hour. `bounds_mb`: process -> the maximum by its settings, because a JVM
    touches its heap bit by bit."""
    pss, anonymous = watch.slopes("pss", since_s), watch.slopes("anonymous", since_s)
    newest = {name: memory for sample in watch.samples for name, memory in sample.items()}
    return [
        Growth(name, newest[name], pss[name], anonymous[name], watch.restarts[name], limit, bounds_mb.get(name))
        for name in sorted(newest)
    ]


def table(rows: Sequence[Growth]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| process | PSS MB | rise an hour | anonymous MB | rise an hour (95 %) | bound MB | restarts | flat | kept |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = (
            row.process,
            f"{row.memory.pss:.0f}",
            f"{row.pss.an_hour:+.1f} +- {row.pss.half_width:.1f}",
            f"{row.memory.anonymous:.0f}",
            f"{row.anonymous.an_hour:+.1f} +- {row.anonymous.half_width:.1f}",
            "" if row.bound_mb is None else f"{row.bound_mb:.0f}",
            str(row.restarts),
            "yes" if row.flat else "no",
            "yes" if row.kept else "NO",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
