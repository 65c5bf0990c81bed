"""How a benchmark's result is shown and kept."""

from pathlib import Path
from typing import Any

import typer

from liveshelf.terminal.out_files import begins, check_out
from liveshelf.terminal.output import machine, pairs, people, table


def _can_keep(keep: Path | None) -> Path | None:
    if keep is not None:
        keep.parent.mkdir(parents=True, exist_ok=True)
    check_out(keep, "result", begins(b"{"))
    return keep


KeepOption = typer.Option(None, help="Also writes the result there, as JSON.", callback=_can_keep)
BundleOption = typer.Option(None, help="Bundle to serve; default: bundle.path of the settings.")


def report_result(result: dict[str, Any], keep: Path | None, json: bool) -> None:
    """Prints a result and keeps it as JSON in the file `keep`. Lists of rows become tables; dicts in a row appear in
    the JSON only.

    A figure that was not measured is null, with its reason under `not_measured`; then this exits with 1.
    """
    from json import dumps

    from benchmarks.measuring.measured import as_json

    result = as_json(result)
    if keep is not None:
        keep.write_text(dumps(result, indent=1) + "\n")
    if json:
        machine(result)
    else:
        _show_people(result)
    for figure, reason in result.get("not_measured", {}).items():
        people.print(f"not measured: {figure}: {reason}", markup=False, soft_wrap=True)
    if "not_measured" in result:
        raise typer.Exit(1)


def _show_people(result: dict[str, Any]) -> None:
    grids = {
        name: rows for name, rows in result.items() if isinstance(rows, list) and rows and isinstance(rows[0], dict)
    }
    for name, rows in grids.items():
        columns = [*dict.fromkeys(name for row in rows for name, value in row.items() if not isinstance(value, dict))]
        table(name, columns, [["-" if row.get(column) is None else row[column] for column in columns] for row in rows])
    pairs({name: "-" if value is None else value for name, value in result.items() if name not in grids})
