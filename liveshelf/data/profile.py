"""`liveshelf profile`: what the events and the catalogue look like, as one HTML page."""

from collections.abc import Iterator
from pathlib import Path

import typer

from liveshelf.terminal.extras import need
from liveshelf.terminal.numbers import ABOVE_0, TEN_YEARS_H, real
from liveshelf.terminal.out_files import begins, check_out
from liveshelf.terminal.output import JsonFlag, machine, people
from operators.errors import BadRecord
from operators.records.catalogue_decode import read_item
from operators.records.record_lines import RecordLines
from operators.records.time_units import HOUR_MS
from operators.settings import Settings, load_settings


def run(
    out: Path = typer.Option(..., help="The HTML file."),
    hours: float = real(24, "Of the topic: the last so many hours.", min=ABOVE_0, max=TEN_YEARS_H),
    events: Path = typer.Option(None, help="JSON lines instead of the topic."),
    catalogue: Path = typer.Option(None, help="JSON lines instead of the topic."),
    json: bool = JsonFlag,
) -> None:
    """Counts, distributions and missed expectations of a day of events and of the catalogue. Call it from cron each day.

    Example: liveshelf profile --out profile.html
    """
    check_out(out, "page of this verb", begins(b"<!doctype html>"))
    need("matplotlib", "jinja2")
    from pipelines.reports.data_profile import profile
    from pipelines.reports.profile_page import render
    from pipelines.topics.whole_file import whole_file

    settings = load_settings()
    source = events.name if events else f"shop.events.v1, last {hours:g} h"
    found = profile(source, _events(settings, events, hours), _catalogue(settings, events, catalogue))
    with whole_file(out) as page:
        page.write(render(found).encode())
    if json:
        missed = {f"{topic} {name}": count for (topic, name), count in found.failed.items()}
        machine({"records": found.records, "valid": found.valid, "types": found.types, "missed": missed})
    people.print(f"{out}: {found.records:,} records, {len(found.users):,} users, {len(found.items):,} items")


def _events(settings: Settings, file: Path | None, hours: float) -> Iterator[tuple[str, bytes | None, int]]:
    from operators.records.contracts import EVENTS

    if file is not None:
        yield from (("", line, 0) for _, line in RecordLines(file))
        return
    import time

    from operators.kafka_io.read_to_end import read_topic

    for record in read_topic(settings.kafka, EVENTS, int(time.time() * 1000 - hours * HOUR_MS)):
        yield (record.key or b"").decode("utf-8", "replace"), record.value, record.timestamp


def _catalogue(settings: Settings, events: Path | None, file: Path | None) -> Iterator[tuple[str, bytes | None]]:
    from operators.records.contracts import CATALOGUE

    if file is not None:
        yield from ((_item_id(line), line) for _, line in RecordLines(file))
    elif events is None:
        from operators.kafka_io.read_to_end import read_topic

        for record in read_topic(settings.kafka, CATALOGUE):
            yield (record.key or b"").decode("utf-8", "replace"), record.value


def _item_id(line: bytes) -> str:
    """What the key of a line's record will be; "" of a line that cannot be read."""
    try:
        return read_item("", line).item_id
    except BadRecord:
        return ""
