"""`liveshelf train --follow`: trains on what the topics bring, until it is stopped."""

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from liveshelf.terminal.output import people
from operators.errors import SettingsError
from operators.settings import Settings

CHAMPION = "champion"


def refuse_others(groups: Sequence[Any], **options: Any) -> None:
    """Raises `SettingsError` for an option of a single training: with --follow it would have no effect. `groups`: groups of
    options, whose fields' defaults are typer's options."""
    given = [name for name, value in options.items() if value is not None]
    for group in groups:
        given += [field.name for field in fields(group) if getattr(group, field.name) != field.default.default]
    if given:
        raise SettingsError(
            "--follow without options of a single training",
            f"--{given[0].replace('_', '-')}",
            "leave it out: settings of [trainer] apply, and the champion's own settings",
        )


def follow(settings: Settings) -> None:
    """Runs until the process is ended, which may be at any point. Raises `LiveshelfError` if it cannot start."""
    from deploy.local.layout import Layout
    from model_export.follow.candidate import RoundOptions
    from model_export.follow.follow_metrics import FollowMetrics
    from model_export.follow.follower import Follower
    from model_export.follow.following import Cadences, run_rounds
    from model_export.follow.history import History
    from model_export.follow.windows_gate import WindowsGate
    from pipelines.topics.followed_topics import FollowedTopics

    trainer, targets = settings.trainer, Layout.of(settings).targets
    work = settings.resolve(trainer.work_dir)
    history = History(work / "history", trainer.history_events, settings.events)
    serving = ServingBundle(work, settings.resolve(settings.bundle.path))
    metrics = FollowMetrics(trainer.metrics_port, targets / "trainer-follow.json" if targets.is_dir() else None)
    try:
        with FollowedTopics(settings) as topics:
            follower = Follower(
                work / "bundles",
                history,
                topics,
                serving.folder,
                WindowsGate(settings.events),
                serving.promote,
                RoundOptions(settings.events, trainer.replay_share),
            )
            cadences = Cadences(trainer.light_every_s, trainer.weights_every_s)
            people.print(f"following the topics, from the bundle {serving.folder()}", soft_wrap=True)
            run_rounds(follower, history, cadences, threading.Event(), metrics, _line)
    finally:
        history.close()
        metrics.close()


def _line(text: str) -> None:
    people.print(f"{time.strftime('%H:%M:%S')} {text}", soft_wrap=True, markup=False)


class ServingBundle:
    """The champion: what the link `champion` in the trainer's folder names, at first the bundle of the settings.

    The job does not follow the link: it takes what `bundle.path` names.
    """

    def __init__(self, work: Path, first: Path) -> None:
        self._link, self._first = work / CHAMPION, first

    def folder(self) -> Path:
        """The champion's folder."""
        return self._link.resolve() if self._link.is_dir() else self._first

    def promote(self, folder: Path, reason: str) -> None:
        """Moves the link in one step."""
        part_link = self._link.with_name(f".{CHAMPION}.part")
        part_link.unlink(missing_ok=True)
        part_link.symlink_to(os.path.relpath(folder, self._link.parent))
        part_link.replace(self._link)
