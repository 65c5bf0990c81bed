"""The conditions of a measurement: the same processes, the same job with the same bundle, and no other job.

A measurement takes a `MeasuredInterval` at its start. At the end the interval gives the CPU used and the violations.
"""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, get_args

import psutil

from benchmarks.measuring.machine import cpu_seconds
from operators.errors import LiveshelfError
from operators.model.model_bundle import ModelBundle
from operators.records.contracts import Source
from pipelines.submission.cluster import Cluster
from pipelines.submission.operator_totals import operator_total

Process = tuple[int, float]  # pid, time of its start: a pid alone may be taken again
FALLBACKS = 0.01  # of the lists: with more of them it is not the model that is measured


class Check(Protocol):
    """A condition that must hold from its creation on."""

    def broken(self) -> list[str]:
        """The violations since then; empty when the condition held."""


class Parts:
    """The processes under test, and what is checked of them; `pids` gives part -> pid of those that run now."""

    def __init__(
        self,
        pids: Callable[[], dict[str, int]],
        checks: Callable[[], list[Check]] = list,
        sources: Callable[[], "Sources"] | None = None,
    ) -> None:
        self.pids = pids
        self._checks, self._sources = checks, sources

    def from_now(self) -> "MeasuredInterval":
        """The beginning of a measurement."""
        return MeasuredInterval(self.pids, self._checks, self._sources)


class MeasuredInterval:
    """An interval of a measurement: the CPU that the parts use, and whether the conditions held."""

    def __init__(
        self,
        pids: Callable[[], dict[str, int]],
        checks: Callable[[], list[Check]] = list,
        sources: Callable[[], "Sources"] | None = None,
    ) -> None:
        self._pids = pids
        self.parts = pids()
        self._used = cpu_seconds(self.parts)  # first: what is asked below takes time
        self._families = {part: _family(pid) for part, pid in self.parts.items()}
        self._checks, self._sources = checks(), sources and sources()

    def cpu_s(self) -> dict[str, float]:
        """Part -> CPU seconds since the beginning, of its process and its children."""
        return {part: used - self._used[part] for part, used in cpu_seconds(self.parts).items()}

    def broken(self) -> list[str]:
        """Why figures of this interval are invalid; empty when they are valid. A part that does not answer is a violation."""
        violations, now = [], self._pids()
        for part, family in self._families.items():
            ended = [name for process, name in family.items() if not _alive(process)]
            if part not in now or now[part] != self.parts[part]:
                violations.append(f"{part} was restarted (pid {self.parts[part]}, then {now.get(part, 'none')})")
            elif ended:
                violations.append(f"{part} lost its process {', '.join(ended)}")
        for check in self._checks:
            try:
                violations += check.broken()
            except LiveshelfError as error:
                violations.append(f"the job could not be asked: {error.came}")
        return violations

    def fell_back(self) -> list[str]:
        """Why the lists of this interval are not the model's; empty when they are, or when they are not counted."""
        return too_many_fallbacks(self._sources.since()) if self._sources else []


class Sources:
    """Lists that the running job emits, by what made them: `model`, `neighbours`, `popular`."""

    def __init__(self, targets: Path) -> None:
        """`targets` as `operator_total` takes it."""
        self._targets = targets
        self._before = self._counts()

    def since(self) -> dict[str, int]:
        """Source -> lists since the beginning."""
        return {source: count - self._before[source] for source, count in self._counts().items()}

    def _counts(self) -> dict[str, int]:
        return {
            source: operator_total(self._targets, "liveshelf_lists_total", source=source) for source in get_args(Source)
        }


def too_many_fallbacks(lists: Mapping[str, int]) -> list[str]:
    """Why lists of these sources (source -> count) are not the model's; empty where they are."""
    count = sum(lists.values())
    fallbacks = count - lists.get("model", 0)
    return [f"{fallbacks} of {count} lists were fallbacks"] if fallbacks > FALLBACKS * count else []


class SameJob:
    """One job of that name runs all its tasks, without a failure since the beginning; other jobs only of names in `beside`."""

    def __init__(self, cluster: Cluster, name: str, beside: Iterable[str] = ()) -> None:
        self._cluster, self._name, self._beside = cluster, name, {name, *beside}
        self._ids = self._running()
        self._failure = self._newest_failure()

    def broken(self) -> list[str]:
        """As `Check`."""
        now, violations = self._running(), []
        other_jobs = sorted({str(job["name"]) for job in self._cluster.jobs()} - self._beside)
        if other_jobs:
            violations.append(f"another job runs on the cluster: {', '.join(other_jobs)}")
        if len(self._ids) != 1:
            violations.append(f"{len(self._ids)} jobs named {self._name} ran at the start instead of one")
        elif now != self._ids:
            violations.append(f"the job {self._ids[0]} was another one at the end: {', '.join(now) or 'none'}")
        elif self._newest_failure() != self._failure:
            violations.append("the job was restarted")
        elif not self._cluster.running_tasks(now[0]):
            violations.append("not all tasks of the job ran at the end")
        return violations

    def _running(self) -> list[str]:
        return [str(job["jid"]) for job in self._cluster.jobs(self._name)]

    def _newest_failure(self) -> Any:
        if len(self._ids) != 1:
            return None
        history = self._cluster.get(f"/jobs/{self._ids[0]}/exceptions").get("exceptionHistory", {})
        return [entry["timestamp"] for entry in history.get("entries", [])][:1]


class ServedBundle:
    """The running job makes its lists with this bundle, by what its operators say of themselves."""

    def __init__(self, targets: Path, bundle: ModelBundle) -> None:
        """`targets` as `operator_total` takes it."""
        self._targets, self._bundle = targets, bundle

    def broken(self) -> list[str]:
        """As `Check`."""
        name, version = self._bundle.name, self._bundle.version
        if operator_total(self._targets, "liveshelf_model_info", name=name, version=version):
            return []
        return [f"no running operator serves the bundle {name} {version}"]


def _family(pid: int) -> dict[Process, str]:
    """A process and its children -> what to call it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return {
            (member.pid, member.create_time()): f"{member.name()} {member.pid}"
            for member in [process, *process.children(recursive=True)]
        }
    return {}


def _alive(process: Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        process_now = psutil.Process(process[0])
        return process_now.create_time() == process[1] and process_now.status() != psutil.STATUS_ZOMBIE
    return False
