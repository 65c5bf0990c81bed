"""docs/cli.md from the command line itself: `python -m liveshelf.pages.cli_page docs/cli.md` (`make reference`)."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from liveshelf.main import app

HEAD = """# Commands

Made by `make reference` from the code; `liveshelf COMMAND --help` shows the same. Exit codes: 0 success, 1 failure,
2 wrong usage. A failure is one line on stderr that says what was expected, what came, and what to do next.
"""
TITLES = {
    "stack": "Local stack",
    "job": "The Flink job",
    "data": "Events and topics",
    "shopper": "Shoppers",
    "models": "Models",
    "search": "Search",
    "bench": "Measurements",
}
COLUMNS = ("option", "meaning", "default", "range")
EXAMPLE = re.compile(r"\n+Example: (.+)\n?")
SUFFIX = re.compile(r"(?:^|  )\[([^\]]+)\]$")  # typer appends default, range, required to a help text


def page() -> str:
    """The whole page: a section for each folder of `liveshelf/`, with its commands and their options."""
    sections: dict[str, list[str]] = {room: [] for room in TITLES}
    for name, command in commands(typer.main.get_command(app), "liveshelf"):
        sections[command.callback.__module__.split(".")[1]].append(_entry(name, command))
    return HEAD + "".join(f"\n## {TITLES[room]}\n{''.join(entries)}" for room, entries in sections.items())


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yields each command with its full name, such as `liveshelf topics show`."""
    if not hasattr(command, "commands"):
        yield name, command
        return
    for part, child in command.commands.items():
        yield from commands(child, f"{name} {part}")


def _entry(name: str, command: Any) -> str:
    text = EXAMPLE.sub(r"\n\n```bash\n\1\n```\n", command.help).strip()
    context = typer.Context(command, info_name=name)
    records = [parameter.get_help_record(context) for parameter in command.params]
    return f"\n### {name}\n\n{text}\n{_table([_row(*record) for record in records if record])}"


def _table(rows: list[tuple[str, ...]]) -> str:
    """The options as a table without empty columns."""
    columns = [column for column in zip(COLUMNS, *rows, strict=True) if any(column[1:])]
    lines = [f"| {' | '.join(cells)} |\n" for cells in zip(*columns, strict=True)]
    return "".join(["\n", *lines[:1], "|---" * len(columns), "|\n", *lines[1:]]) if lines else ""


def _row(option: str, text: str) -> tuple[str, ...]:
    default, limits = "", ""
    suffix = SUFFIX.search(text)
    for part in suffix[1].split("; ") if suffix else ():
        if part == "required":
            default = part
        elif part.startswith("default: "):
            default = f"`{part.removeprefix('default: ')}`"
        else:
            limits = f"`{part}`"
    return tuple(cell.replace("|", "\\|") for cell in (f"`{option}`", SUFFIX.sub("", text), default, limits))


def main() -> None:
    """Writes the page."""
    Path(sys.argv[1]).write_text(page())


if __name__ == "__main__":
    main()
