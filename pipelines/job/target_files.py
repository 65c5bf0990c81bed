"""The files by which the job tells Prometheus where the pages of its optional operators are."""

import contextlib
from pathlib import Path

from operators.settings import JobSettings, Settings

FEEDBACK, DEMAND = "feedback", "demand"


def target_file(settings: JobSettings, operator: str, subtask: int) -> Path | None:
    """Where Prometheus is told of an operator's page; None where it is not told."""
    folder = settings.metrics_targets_dir
    return Path(folder) / f"{operator}-{subtask}.json" if folder else None


def forget_unused_targets(settings: Settings, subtask: int) -> None:
    """A job without an operator: the target of an earlier job's would be down for ever."""
    enabled = {FEEDBACK: settings.feedback.enabled, DEMAND: settings.demand.enabled}
    for operator in (name for name, is_on in enabled.items() if not is_on):
        if file := target_file(settings.job, operator, subtask):
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)
