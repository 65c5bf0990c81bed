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
MAX_FALLBACKS = 0.01  # share of the lists; with more the run does not measure the model


class Check(Protocol):
    """A condition that must hold from its creation on."""

    def find_violations(self) -> list[str]:
        """The violations since then; empty when the condition held."""


class Parts:
    """The processes under test and the checks of a measurement. `pids` gives part -> pid of the running processes."""

    def __init__(
        self,
        pids: Callable[[], dict[str, int]],
        checks: Callable[[], list[Check]] = list,
        sources: Callable[[], "Sources"] | None = None,
    ) -> None:
        self.pids = pids
        self._checks, self._sources = checks, sources

    def from_now(self) -> "MeasuredInterval":
        """Starts a measurement."""
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
        self._cpu_before = cpu_seconds(self.parts)  # first: the requests below take time
        self._families = {part: _family(pid) for part, pid in self.parts.items()}
        self._checks, self._sources = checks(), sources and sources()

    def cpu_s(self) -> dict[str, float]:
        """Part -> CPU seconds since the beginning, of its process and its children."""
        return {part: cpu_now - self._cpu_before[part] for part, cpu_now in cpu_seconds(self.parts).items()}

    def find_violations(self) -> list[str]:
        """Why figures of this interval are invalid; empty when they are valid. A part that does not answer is a violation."""
        violations, now = [], self._pids()
        for part, family in self._families.items():
            ended_names = [name for process, name in family.items() if not _alive(process)]
            if part not in now or now[part] != self.parts[part]:
                violations.append(f"{part} was restarted (pid {self.parts[part]}, then {now.get(part, 'none')})")
            elif ended_names:
                violations.append(f"{part} lost its process {', '.join(ended_names)}")
        for check in self._checks:
            try:
                violations += check.find_violations()
            except LiveshelfError as error:
                violations.append(f"the job could not be asked: {error.came}")
        return violations

    def find_fallbacks(self) -> list[str]:
        """The violation when too many lists of this interval are fallbacks; empty when few are or nothing counts them."""
        return too_many_fallbacks(self._sources.since()) if self._sources else []


class Sources:
    """Counts the running job's lists by source: `model`, `neighbours`, `popular`."""

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
    """The violation when too many of these lists (source -> count) are fallbacks; else empty."""
    count = sum(lists.values())
    fallbacks = count - lists.get("model", 0)
    return [f"{fallbacks} of {count} lists were fallbacks"] if fallbacks > MAX_FALLBACKS * count else []


class SameJob:
    """One job of that name runs all its tasks without a failure since the start; other jobs have names in `allowed`."""

    def __init__(self, cluster: Cluster, name: str, allowed: Iterable[str] = ()) -> None:
        self._cluster, self._name, self._allowed = cluster, name, {name, *allowed}
        self._ids = self._job_ids()
        self._failure = self._newest_failure()

    def find_violations(self) -> list[str]:
        """As `Check`."""
        ids_now, violations = self._job_ids(), []
        other_jobs = sorted({str(job["name"]) for job in self._cluster.jobs()} - self._allowed)
        if other_jobs:
            violations.append(f"another job runs on the cluster: {', '.join(other_jobs)}")
        if len(self._ids) != 1:
            violations.append(f"{len(self._ids)} jobs named {self._name} ran at the start instead of one")
        elif ids_now != self._ids:
            violations.append(f"the job {self._ids[0]} was another one at the end: {', '.join(ids_now) or 'none'}")
        elif self._newest_failure() != self._failure:
            violations.append("the job was restarted")
        elif not self._cluster.running_tasks(ids_now[0]):
            violations.append("not all tasks of the job ran at the end")
        return violations

    def _job_ids(self) -> list[str]:
        return [str(job["jid"]) for job in self._cluster.jobs(self._name)]

    def _newest_failure(self) -> Any:
        if len(self._ids) != 1:
            return None
        history = self._cluster.get(f"/jobs/{self._ids[0]}/exceptions").get("exceptionHistory", {})
        return [entry["timestamp"] for entry in history.get("entries", [])][:1]


class ServedBundle:
    """The running job serves this bundle, by its operators' metrics."""

    def __init__(self, targets: Path, bundle: ModelBundle) -> None:
        """`targets` as `operator_total` takes it."""
        self._targets, self._bundle = targets, bundle

    def find_violations(self) -> list[str]:
        """As `Check`."""
        name, version = self._bundle.name, self._bundle.version
        if operator_total(self._targets, "liveshelf_model_info", name=name, version=version):
            return []
        return [f"no running operator serves the bundle {name} {version}"]


def _family(pid: int) -> dict[Process, str]:
    """A process and its children -> name and pid for messages."""
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
