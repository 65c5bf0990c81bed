"""Prints the steps of a start of the local stack or of the job, for `liveshelf up`, `demo`, `submit` and `resume`."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from liveshelf.terminal.output import notice, people
from operators.errors import LiveshelfError
from operators.settings import Settings

if TYPE_CHECKING:
    from deploy.local.probes import Probe


def show_start(settings: Settings, *, secure: bool) -> dict[str, str]:
    """Starts the parts that do not run, prints a line for each step, and returns part -> its answer."""
    from deploy.local.watchers import prometheus
    from pipelines.local.stack_start import start

    started_s, answers = time.monotonic(), {}
    with people.status("starting") as spinner:

        def on_wait(probe: "Probe") -> None:
            spinner.update(f"waiting for {probe.name} at {probe.address}")

        for step in start(settings, secure=secure, on_wait=on_wait):
            if step.is_part:
                answers[step.name] = step.answer
            people.print(f"  {step.name:<11} {step.address:<24} {step.answer}", soft_wrap=True)
    if not prometheus.program():
        people.print("  prometheus  not installed, left out (apt-get install prometheus)")
    people.print(f"up in {time.monotonic() - started_s:.0f} s; `liveshelf down` stops it")
    return answers


def show_refused(path: str, error: LiveshelfError) -> None:
    """Prints that a checkpoint cannot be used; `resume` then tries an older one."""
    notice(f"{path} cannot be used", "yellow", str(error))


def show_serving(settings: Settings, bundle: Path | None) -> None:
    """Prints which bundle makes the lists if the submitted one does not, and what still uses `bundle.path` if another one was
    submitted. `bundle`: as submitted, None for `bundle.path`."""
    from operators.records.contracts import MODELS
    from pipelines.topics.rollout_topic import read_newest

    if (rollout := read_newest(settings)) is not None:
        people.print(
            f"{rollout.champion.label} makes the lists, as {MODELS} says: `liveshelf models promote` changes that, and with "
            "`liveshelf models reset` the submitted bundle does",
            soft_wrap=True,
        )
    elif bundle is not None and bundle.resolve() != settings.resolve(settings.bundle.path).resolve():
        people.print(
            f"bundle.path is {settings.bundle.path}: the storefront takes popular and similar items from that bundle, and the "
            f"next `liveshelf resume` ships it. Next: `liveshelf models promote {bundle}` makes them use the submitted one",
            soft_wrap=True,
        )
