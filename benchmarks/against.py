"""Two commits beside each other in one run, A B A B: `python -m benchmarks.against REV --rounds 4`.

REV gets a git worktree in the system's temporary folder; the other side is this checkout as it is. Each turn starts from an
empty stack of its own, drains a backlog (which also warms the JVM) and then measures freshness, with the command line of its side:
only the verbs and their JSON are common. Nothing else may run meanwhile, this checkout's stack neither; its data stay.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from benchmarks.machine import describe
from benchmarks.measured import Figure, NotMeasured, median, ratio, total, unless
from operators.errors import LiveshelfError, StackError
from operators.settings import load_settings, project_root
from pipelines.cli.bench_session import tell
from pipelines.cli.output import people

TURN_S = 1200.0  # for one verb
Turn = dict[str, Figure]


def less_is_better(ours: Figure, theirs: Figure) -> Figure:
    """Above 1 where ours is better."""
    return ratio(theirs, ours)


# figure -> what says how much better it is
FIGURES = {
    "lists/s": ratio,
    "CPU s per 1,000 lists": less_is_better,
    "p50 ms": less_is_better,
    "p99 ms": less_is_better,
}


@dataclass
class Side:
    """A checkout, and a stack of its own below `folder`."""

    name: str
    checkout: Path
    folder: Path
    turns: list[Turn] = field(default_factory=list)
    bundle: str = ""

    def liveshelf(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs a verb of this side with the interpreter of this one."""
        settings, environment = load_settings(), dict(os.environ)
        environment.pop("LIVESHELF_FILE", None)
        environment["PYTHONPATH"] = str(self.checkout)
        environment["LIVESHELF_STACK__DATA_DIR"] = str(self.folder)
        environment["LIVESHELF_STACK__JARS_DIR"] = str(settings.resolve(settings.stack.jars_dir))
        command = [str(Path(sys.executable).parent / "liveshelf"), *words]
        return subprocess.run(
            command, capture_output=True, text=True, cwd=self.checkout, env=environment, timeout=TURN_S
        )

    def do(self, *words: str) -> None:
        """A verb that must succeed. Raises `StackError`."""
        done = self.liveshelf(*words)
        if done.returncode:
            raise StackError(
                f"`liveshelf {' '.join(words)}` of {self.name}", done.stderr[-600:], "correct the cause above"
            )

    def measured(self, *words: str) -> dict[str, Any]:
        """What a benchmark prints; one that did not measure all exits with 1 and prints what it has. Raises `StackError`."""
        done = self.liveshelf("bench", *words, "--json")
        try:
            return dict(json.loads(done.stdout))
        except ValueError:
            raise StackError(
                f"`liveshelf bench {words[0]}` of {self.name}", done.stderr[-600:], "see the text above"
            ) from None

    def turn(self, drain: Sequence[str], fresh: Sequence[str]) -> Turn:
        """An empty stack, a drain, freshness."""
        self.do("down", "--purge")
        try:
            self.do("up")
            self.do("submit", "--fresh")
            drained = self.measured("throughput", *drain)
            figures = drained_figures(drained) | fresh_figures(self.measured("freshness", *fresh))
            self.bundle = str(drained.get("bundle", ""))
        finally:
            self.do("down", "--purge")
        self.turns.append(figures)
        return figures


def drained_figures(result: dict[str, Any]) -> Turn:
    """Of `bench throughput`; an older one prints a rate of 0 or a note where it measured nothing."""
    wrong = result.get("note") or "; ".join(sorted({*result.get("not_measured", {}).values()}))
    if wrong or not result["lists_per_s"]:
        missing = NotMeasured(wrong or "no list came")
        return {"lists/s": missing, "CPU s per 1,000 lists": missing}
    return {"lists/s": result["lists_per_s"], "CPU s per 1,000 lists": total(result["cpu_s_per_1000"].values(), 4)}


def fresh_figures(result: dict[str, Any]) -> Turn:
    """Of `bench freshness`; an older one prints percentiles of whatever came."""
    missing, found = result["users_unanswered"], result["freshness_ms"]
    wrong = f"{missing} users had no list of all their events" if missing else "" if result["lists"] else "no list came"
    reasons = sorted({*result.get("not_measured", {}).values()} | ({wrong} if wrong else set()))
    if reasons:
        return dict.fromkeys(("p50 ms", "p99 ms"), NotMeasured("; ".join(reasons)))
    return {"p50 ms": found["p50"], "p99 ms": found["p99"]}


def compared(this: Side, other: Side, tolerated: float) -> list[dict[str, Any]]:
    """A row a figure: medians, their ratio (above 1: this side is better), and the ratio of each pair of turns."""
    rows, wrong = list[dict[str, Any]](), list[str]()
    if this.bundle != other.bundle:
        wrong = [f"the sides served other bundles: {this.bundle}, {other.bundle}"]
    for name, better in FIGURES.items():
        ours, theirs = ([turn[name] for turn in side.turns] for side in (this, other))
        medians = {this.name: median(ours, 4), other.name: median(theirs, 4)}
        found, pairs = unless(
            wrong, [better(*medians.values()), [better(*pair) for pair in zip(ours, theirs, strict=True)]]
        )
        known = [pair for pair in pairs if not isinstance(pair, NotMeasured)]
        rows.append(
            {
                "figure": name,
                **medians,
                "ratio": found,
                "pairs": pairs,
                "scatter": f"{min(known)} to {max(known)}" if known else "",
                "worse": not isinstance(found, NotMeasured) and found < 1 - tolerated,
            }
        )
    return rows


@contextmanager
def worktree(revision: str, folder: Path) -> Iterator[Path]:
    """The files of a commit; gone afterwards. Raises `StackError`."""
    target = folder / "checkout"
    _git("worktree", "add", "--detach", str(target), revision)
    try:
        yield target
    finally:
        _git("worktree", "remove", "--force", str(target))


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], capture_output=True, text=True, cwd=project_root())
    if done.returncode:
        raise StackError(
            f"`git {' '.join(words)}` to succeed", done.stderr.strip()[-300:], "give a commit of this repository"
        )
    return done.stdout.strip()


def main(
    revision: str,
    rounds: int = typer.Option(4, min=1, help="Turns of each side."),
    events: int = typer.Option(100_000, help="Of the backlog."),
    users: int = typer.Option(8_000, help="In the backlog, in turn."),
    rate: float = typer.Option(500, help="Events/s while freshness is measured."),
    seconds: float = typer.Option(30, help="Of it."),
    warm_up: float = typer.Option(30, help="Seconds of load before."),
    tolerated: float = typer.Option(0.03, help="How much worse this side may be."),
    keep: Path = typer.Option(None, help="Also writes the result there, as JSON."),
    json: bool = typer.Option(False, "--json", help="One JSON object on stdout."),
) -> None:
    """Throughput and freshness of this checkout and of REVISION, in turns. Exit 1 where this one is worse, or nobody knows."""
    drain = ["--events", str(events), "--users", str(users)]
    fresh = ["--rate", str(rate), "--seconds", str(seconds), "--warm-up", str(warm_up)]
    with tempfile.TemporaryDirectory(prefix="liveshelf-against-") as temporary:
        folder = Path(temporary)
        with worktree(revision, folder) as checkout:
            other = Side(_git("rev-parse", "--short", revision), checkout, folder / "a")
            this = Side(f"this ({_git('describe', '--always', '--dirty')})", project_root(), folder / "b")
            for number in range(rounds):
                for side in (other, this):
                    people.print(
                        f"round {number + 1} of {rounds}, {side.name}: {side.turn(drain, fresh)}", markup=False
                    )
    rows = compared(this, other, tolerated)
    result = {"bench": "against", "rounds": rounds, "drain": drain, "fresh": fresh, "bundle": this.bundle}
    turns = {side.name: side.turns for side in (this, other)}
    tell(result | {"figures": rows, "turns": turns, "machine": describe()}, keep, json)
    raise typer.Exit(int(any(row["worse"] for row in rows)))


if __name__ == "__main__":
    try:
        typer.run(main)
    except LiveshelfError as error:
        people.print(f"failed: {error}", markup=False, soft_wrap=True)
        sys.exit(1)
