"""`liveshelf models gate`: judges a candidate bundle against the champion."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from liveshelf.terminal.extras import need
from liveshelf.terminal.out_files import begins, check_out
from liveshelf.terminal.output import JsonFlag, machine, notice, people, table
from operators.settings import load_settings

if TYPE_CHECKING:
    from model_export.gate.report import GateReport, Line


def run(
    candidate: Path = typer.Argument(..., help="Bundle folder."),
    events: Path = typer.Option(
        ..., help="JSON lines of canonical events: the newest window, and the history before it."
    ),
    champion: Path = typer.Option(None, help="The bundle that serves now; without it only absolute checks are made."),
    old_events: Path = typer.Option(None, help="JSON lines of an old window: what must not be forgotten."),
    test_from: int = typer.Option(
        None, help="The window starts at this epoch ms; default: where the later training ended.", min=1
    ),
    why: bool = typer.Option(False, "--why", help="Prints the lines that failed or warn, a sentence each."),
    report: Path = typer.Option(None, help="Folder for a page with plots, one a candidate (extra `report`)."),
    json: bool = JsonFlag,
) -> None:
    """Judges whether a bundle may become champion, by the limits of the settings' table `gate`. Exit 1 if a line fails.

    Example: liveshelf models gate bundles/mine --champion models/online-retail --events events.jsonl --why
    """
    from model_export.gate.judge import judge

    page = None if report is None else _page(report, candidate)
    settings = load_settings()
    with people.status("judging"):
        verdict = judge(
            candidate,
            champion,
            events,
            settings.gate,
            old_events=old_events,
            test_from=test_from,
            event_limits=settings.events,
            public_keys=settings.bundle.required_keys,
            log=partial(people.print, soft_wrap=True),
        )
    if page is not None:
        _write(page, verdict)
    if json:
        from msgspec import to_builtins

        machine(to_builtins(verdict))
    elif why:
        for line in (*verdict.failed, *verdict.warnings):
            people.print(f"{'warning, ' if line.warning else ''}{line.name}: {line.why}", soft_wrap=True)
    else:
        _show(verdict)
    _conclude(verdict)


def _page(folder: Path, candidate: Path) -> Path:
    """The file of the candidate's page."""
    need("matplotlib", "jinja2")
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"{candidate.resolve().name}.html"
    check_out(page, "page of this verb", begins(b"<!doctype html>"))
    return page


def _write(page: Path, verdict: "GateReport") -> None:
    from model_export.gate.page import render
    from pipelines.topics.whole_file import whole_file

    with whole_file(page) as out:
        out.write(render(verdict).encode())
    people.print(f"{page}", soft_wrap=True)


def _show(verdict: "GateReport") -> None:
    columns = ("line", "", "candidate", "champion", "limit", "95 % of the difference")
    table("", columns, [_row(line) for line in verdict.lines])


def _row(line: "Line") -> list[str]:
    from model_export.gate.report import shown

    numbers = [shown(number) for number in (line.value, line.champion, line.limit)]
    interval = "" if line.interval is None else "{:+.4f} to {:+.4f}".format(*line.interval)
    return [line.name, "passed" if line.passed else "warning" if line.warning else "FAILED", *numbers, interval]


def _conclude(verdict: "GateReport") -> None:
    """The verdict in a line, and the exit code."""
    for remark in verdict.remarks:
        people.print(remark)
    against = f" against {verdict.champion.label}" if verdict.champion else ""
    warned = f", {count} of them only warn: see --why" if (count := len(verdict.warnings)) else ""
    if verdict.passed:
        notice("passed", "bold green", f"{verdict.candidate.label}{against}: {len(verdict.lines)} lines{warned}")
        return
    names = ", ".join(line.name for line in verdict.failed)
    notice("refused", "bold red", f"{verdict.candidate.label}{against}: {names}. Next: see --why")
    raise typer.Exit(1)
