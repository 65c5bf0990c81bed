"""The options of `liveshelf dead-letters` that choose and repair letters."""

import re
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from operators.errors import BadRecord
from operators.records.contracts import DEAD_LETTER_REASONS
from operators.time_units import DAY_MS, HOUR_MS

if TYPE_CHECKING:
    from operators.records.record_repairs import Repairs
    from pipelines.dead_letters.dead_letters import Choice

AGO_MS = {"m": 60_000, "h": HOUR_MS, "d": DAY_MS}
ReasonOption = typer.Option([], "--reason", help="Only of this reason; may be given several times.")
SinceOption = typer.Option(None, help="Only letters from then on: 2h, 3d or 45m ago, or ISO 8601 (UTC).")
UntilOption = typer.Option(None, help="Only letters from before then, written as for --since.")
TopicOption = typer.Option([], "--topic", help="Only records of this topic; may be given several times.")


def choice_of(reasons: Iterable[str], since: str | None, until: str | None, topics: Iterable[str]) -> "Choice":
    """The letters that the options choose."""
    from pipelines.dead_letters.dead_letters import OTHER, Choice

    refuse_unknown("--reason", reasons, (*DEAD_LETTER_REASONS, OTHER))
    return Choice(frozenset(reasons), frozenset(topics), _epoch_ms("--since", since), _epoch_ms("--until", until))


def repairs_of(fix: str, rename: list[str], event_type: list[str]) -> "Repairs":
    """The repairs that `--fix`, `--rename` and `--event-type` name."""
    from operators.records.record_repairs import ALL, FIXES, Repairs

    names = frozenset(filter(None, fix.split(",")))
    refuse_unknown("--fix", names, ("all", *FIXES))
    if {"day-first", "month-first"} <= names:
        raise typer.BadParameter("--fix: expected day-first or month-first; came both")
    if "all" in names:
        names |= ALL
    return Repairs(names, _renames("--rename", rename), _renames("--event-type", event_type))


def refuse_unknown(option: str, words: Iterable[str], allowed: Iterable[str]) -> None:
    """Raises a usage error for a word that is not `allowed`."""
    if unknown := sorted(set(words) - set(allowed)):
        raise typer.BadParameter(f"{option}: expected {', '.join(allowed)}; came {unknown[0]!r}")


def _renames(option: str, pairs: list[str]) -> dict[str, str]:
    renames = dict[str, str]()
    for pair in pairs:
        old, _, new = pair.partition("=")
        if not (old and new):
            raise typer.BadParameter(f"{option}: expected OLD=NEW; came {pair!r}")
        renames[old] = new
    return renames


def _epoch_ms(option: str, text: str | None) -> int | None:
    """Epoch ms."""
    from operators.records.written_values import read_time

    if text is None:
        return None
    if ago := re.fullmatch(r"(\d{1,6})([mhd])", text):
        return time.time_ns() // 1_000_000 - int(ago[1]) * AGO_MS[ago[2]]
    try:
        return read_time(text)
    except BadRecord:
        raise typer.BadParameter(
            f"{option}: expected 45m, 2h, 3d or a time like 2026-11-27T03:00; came {text!r}"
        ) from None
