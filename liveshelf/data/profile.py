"""`liveshelf profile`: statistics of the events and the catalogue as one HTML page."""

from pathlib import Path

import typer

from liveshelf.terminal.extras import need
from liveshelf.terminal.numbers import ABOVE_0, TEN_YEARS_H, real
from liveshelf.terminal.out_files import begins, check_out
from liveshelf.terminal.output import JsonFlag, machine, people
from operators.settings import load_settings


def run(
    out: Path = typer.Option(..., help="The HTML file."),
    hours: float = real(24, "The last hours of the topic.", min=ABOVE_0, max=TEN_YEARS_H),
    events: Path = typer.Option(None, help="JSON lines instead of the topic."),
    catalogue: Path = typer.Option(None, help="JSON lines instead of the topic."),
    json: bool = JsonFlag,
) -> None:
    """Reports counts, distributions and failed expectations of a day of events and of the catalogue. Call it from cron each day.

    Example: liveshelf profile --out profile.html
    """
    check_out(out, "page of this verb", begins(b"<!doctype html>"))
    need("matplotlib", "jinja2")
    from pipelines.reports.profile_page import render
    from pipelines.reports.profile_sources import read_profile
    from pipelines.topics.whole_file import whole_file

    profile = read_profile(load_settings().kafka, events, catalogue, hours)
    with whole_file(out) as page:
        page.write(render(profile).encode())
    if json:
        failures = {f"{topic} {name}": count for (topic, name), count in profile.failed.items()}
        machine({"records": profile.records, "valid": profile.valid, "types": profile.types, "missed": failures})
    people.print(f"{out}: {profile.records:,} records, {len(profile.users):,} users, {len(profile.items):,} items")
