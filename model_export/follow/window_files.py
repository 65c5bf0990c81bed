"""The model gate as a trainer asks it: the windows go into files, for `model_export.gate.judge`."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from model_export.follow.candidate import GateWindows
from model_export.follow.learned import WindowSize
from model_export.gate.judge import judge
from model_export.gate.report import GateReport, shown
from operators.configuration.shop_settings import EventSettings, GateLimits
from operators.records.contracts import Event, encode_record

FILES = "gate-"
QUALITY = ("NDCG@20", "forgetting: NDCG@20")  # the lines of a candidate that passed


@dataclass(frozen=True)
class GateVerdict:
    """A `Verdict`."""

    passed: bool
    lines: list[str]

    @classmethod
    def of(cls, report: GateReport, *remarks: str) -> "GateVerdict":
        """The sentences of the lines that failed, or the two lines on quality and the warnings; `remarks` after them."""
        warnings = [f"warning, {line.name}: {line.why}" for line in report.warnings]
        if report.passed:
            own = [line for line in report.lines if line.name in QUALITY]
            quality = [f"{line.name} {shown(line.value)}, champion {shown(line.champion)}" for line in own]
            return cls(True, [*quality, *warnings, *remarks])
        return cls(False, [f"{line.name}: {line.why}" for line in report.failed] + warnings + [*remarks])


class JudgeGate:
    """A `Gate` with the limits of the settings; the least window is the one that the round names."""

    def __init__(self, limits: GateLimits, events: EventSettings, work: Path) -> None:
        """`work`: a folder of one process, for files that live while it judges. Removes those of a process that was killed
        then: they hold all shoppers' events, which no erasure would reach."""
        self._limits, self._events, self._work = limits, events, work
        for left in work.glob(f"{FILES}*"):
            shutil.rmtree(left)

    def __call__(self, candidate: Path, champion: Path, windows: GateWindows) -> GateVerdict:
        """Raises `BundleError` where the champion fails, and `EventsFileError` where a window holds no question."""
        least = {"min_questions": windows.least.questions, "min_users": windows.least.users}
        remembers = {event.user_id for event in windows.events if event.event_id in windows.old}
        keeps = WindowSize(len(windows.old), len(remembers)).holds(windows.least)
        with TemporaryDirectory(dir=self._work, prefix=FILES) as folder:
            newest, old = Path(folder) / "newest.jsonl", Path(folder) / "old.jsonl"
            _write(newest, windows.events)
            if keeps:
                _write(old, (event for event in windows.events if event.user_id in remembers))
            report = judge(
                candidate,
                champion,
                newest,
                self._limits.model_copy(update=least),
                old_events=old if keeps else None,
                old_ids=windows.old,
                test_from=windows.newest_ms,
                clicks_from=windows.clicks_ms,
                event_limits=self._events,
            )
        learned = f"forgetting is not judged: the history holds {len(windows.old)} learned questions of {len(remembers)} users"
        return GateVerdict.of(report) if keeps else GateVerdict.of(report, learned)


def _write(file: Path, events: Iterable[Event]) -> None:
    with file.open("wb") as lines:
        for event in events:
            lines.write(encode_record(event) + b"\n")
