"""The options of `liveshelf import` that describe a file: its columns, event types, unit and decimal mark."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from operators.configuration.nearest_name import nearest

if TYPE_CHECKING:
    from operators.adapters.import_file import ImportChoices

_NEXT_PAIR = re.compile(r",(?=\s*\w+=)")  # a column's own name may hold a comma


@dataclass
class FileOptions:
    """What the shop says about its file."""

    map: list[str] = typer.Option([], help="csv: FIELD=COLUMN,…; may be given several times.")
    types: list[str] = typer.Option([], help="TYPE=NAME,…: their event name for our type, or for return.")
    event_type: str = typer.Option(None, help="csv, personalize: the type of all rows of a file without one.")
    columns: str = typer.Option(None, help="The columns of a CSV without a header: NAME,NAME,…")
    delimiter: str = typer.Option(None, help="The mark between the columns of a CSV; default: the likely one.")
    time_unit: str = typer.Option(None, help="s, ms, us or ns; default: what the file's times are.")
    decimal: str = typer.Option(None, help="The decimal mark of amounts, , or . ; default: what the file shows.")


def choices_of(source: str, options: FileOptions) -> "ImportChoices":
    """The choices for a file of the format `source`. Raises a usage error for an option that means nothing there."""
    from operators.adapters.decisions import MARKS, UNITS
    from operators.adapters.event_names import TYPES
    from operators.adapters.formats.table import FIELDS
    from operators.adapters.import_file import ImportChoices
    from operators.adapters.registry import CSV, NAMES, TYPED, TableMap

    _known("--from", source, NAMES)
    if options.map and source != CSV:
        raise typer.BadParameter(f"--map is for --from csv; {source} has its own (docs/import.md)")
    if options.event_type is not None:
        if source not in TYPED:
            raise typer.BadParameter(f"--event-type is for --from {' or '.join(TYPED)}; {source} names its events")
        _known("--event-type", options.event_type, TYPES)
    for name, value, allowed in (("--time-unit", options.time_unit, UNITS), ("--decimal", options.decimal, MARKS)):
        if value is not None:
            _known(name, value, tuple(allowed))
    if options.delimiter is not None and len(options.delimiter.encode().decode("unicode_escape")) != 1:
        raise typer.BadParameter(f"--delimiter: expected one character, or \\t; came {options.delimiter!r}")
    fields = dict(_pairs("--map", options.map, FIELDS))
    return ImportChoices(
        table=TableMap(fields, options.event_type),
        types={theirs: ours for ours, theirs in _pairs("--types", options.types, TYPES)},
        columns=tuple(name.strip() for name in (options.columns or "").split(",") if name.strip()),
        delimiter=(options.delimiter or "").encode().decode("unicode_escape"),
        unit=options.time_unit,
        mark=options.decimal,
    )


def _pairs(option: str, texts: list[str], allowed: tuple[str, ...]) -> list[tuple[str, str]]:
    pairs = []
    for pair in (pair for text in texts for pair in _NEXT_PAIR.split(text)):
        ours, _, theirs = (part.strip() for part in pair.partition("="))
        if not (ours and theirs):
            raise typer.BadParameter(f"{option}: expected OURS=THEIRS, such as {allowed[0]}=NAME; came {pair!r}")
        _known(option, ours, allowed)
        pairs.append((ours, theirs))
    return pairs


def _known(option: str, word: str, allowed: Any) -> None:
    if word not in allowed:
        likely = nearest(word, allowed)
        hint = f"; is {likely} meant?" if likely else ""
        raise typer.BadParameter(f"{option}: expected one of {', '.join(allowed)}; came {word!r}{hint}")
