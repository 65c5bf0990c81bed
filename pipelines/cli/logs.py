"""`liveshelf logs`: the last lines of a part's log."""

import subprocess

import typer

from operators.errors import StackError
from operators.settings import load_settings


def run(
    part: str = typer.Argument(help="kafka, jobmanager, taskmanager-0, storefront, prometheus or supervisord."),
    lines: int = typer.Option(50, "--lines", "-n"),
    follow: bool = typer.Option(False, "--follow", "-f"),
) -> None:
    """Shows a part's log.

    Example: liveshelf logs taskmanager-0 -n 200
    """
    from deploy.local.layout import Layout

    folder = Layout.of(load_settings()).logs
    file = folder / f"{part}.log"
    if not file.is_file():
        known = ", ".join(sorted(path.stem for path in folder.glob("*.log") if not path.stem.startswith("flink-")))
        raise StackError(f"a log of {part}", "none", f"name one of: {known or 'none yet; liveshelf up'}")
    subprocess.run(["tail", "-n", str(lines), *(["-f"] if follow else []), str(file)], check=False)
