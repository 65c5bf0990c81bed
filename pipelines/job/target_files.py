"""The files by which the job tells Prometheus where the pages of its optional operators and of its scorers are."""

import contextlib
from collections.abc import Collection
from pathlib import Path

from operators.settings import JobSettings, Settings
from pipelines.scoring.wire import TARGET_FILE

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


def forget_former_scorers(settings: JobSettings, subtask: int, owners: Collection[str]) -> None:
    """Scorers of a subtask that serve no more: their ports may be those of others already. `owners`: the `Handshake.subtask` of
    those that serve. A shared scorer removes its own files."""
    if not settings.metrics_targets_dir:
        return
    kept = {TARGET_FILE.format(subtask=owner) for owner in owners}
    for pattern in (f"{subtask}", f"{subtask}-*"):
        for file in Path(settings.metrics_targets_dir).glob(TARGET_FILE.format(subtask=pattern)):
            if file.name not in kept:
                with contextlib.suppress(OSError):
                    file.unlink(missing_ok=True)
