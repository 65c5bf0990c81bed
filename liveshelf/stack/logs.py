"""`liveshelf logs`: shows the last lines of a part's log, or of all logs merged by time."""

import subprocess
from pathlib import Path

import typer

from liveshelf.terminal.numbers import ABOVE_0, MAX_SHOWN, real
from liveshelf.terminal.output import line as show
from operators.errors import StackError
from operators.settings import load_settings


def run(
    part: str = typer.Argument(None, help="kafka, jobmanager, taskmanager-0, storefront, …; default: all, merged."),
    lines: int = typer.Option(50, "--lines", "-n", help="Number of lines, newest last.", min=1, max=MAX_SHOWN),
    since: float = real(None, "Only lines of the last minutes, of all parts.", min=ABOVE_0),
    follow: bool = typer.Option(False, "--follow", "-f", help="Wait for new lines of one part."),
) -> None:
    """Shows the newest log lines; in the merged log each line names its part.

    Example: liveshelf logs --since 10 -n 200
    """
    from deploy.local.layout import Layout
    from deploy.local.merged_log import merged

    folder = Layout.of(load_settings()).logs
    if part is None:
        for line in merged(parts(folder), lines, since):
            show(line)
        return
    file = folder / f"{part}.log"
    if not file.is_file():
        names = ", ".join(sorted(path.stem for path in parts(folder)))
        raise StackError(f"a log of {part}", "none", f"name one of: {names or 'none yet; liveshelf up'}")
    command = ["tail", "-n", str(lines), *(["-f"] if follow else []), "--", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, errors="replace", bufsize=1) as tail:
        for line in tail.stdout or ():
            show(line.rstrip("\n"))


def parts(folder: Path) -> list[Path]:
    """The logs that supervisor keeps, without Flink's own copies."""
    return [path for path in folder.glob("*.log") if not path.stem.startswith("flink-")]
