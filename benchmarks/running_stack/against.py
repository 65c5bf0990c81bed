"""Two commits beside each other in one run, A B A B: `liveshelf bench against REV --rounds 4`.

Each side is a git worktree in the system's temporary folder: of REV, and of this checkout as it is when it begins. Each turn
starts from an empty stack of its own, drains a backlog (which also warms the JVM) and then measures freshness, with the
command line of its side: only the verbs and their JSON are common. Nothing else may run meanwhile, this checkout's stack
neither; its data stay.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measuring.machine import describe
from benchmarks.measuring.measured import Figure, NotMeasured, median, ratio, total, unless
from benchmarks.running_stack.throughput import SCORED
from operators.errors import StackError
from operators.settings import load_settings, project_root

TURN_S = 1200.0  # for one verb
ENTRIES = (
    "liveshelf.main",
    "pipelines.cli.main",
)  # where the command of a checkout begins; the second one until 2026-11
Turn = dict[str, Figure]


def less_is_better(this: Figure, other: Figure) -> Figure:
    """Above 1 where ours is better."""
    return ratio(other, this)


# figure -> what says how much better it is
FIGURES: dict[str, Callable[[Figure, Figure], Figure]] = {
    "lists/s": ratio, "CPU s per 1,000 lists": less_is_better, "p50 ms": less_is_better, "p99 ms": less_is_better
}  # fmt: skip


@dataclass
class Side:
    """The files of a commit, and a stack of its own below `folder`."""

    name: str
    checkout: Path
    folder: Path
    jars: Path
    turns: list[Turn] = field(default_factory=list)
    bundle: str = ""

    def liveshelf(self, *words: str) -> str:
        """Runs a verb of this side with the interpreter of this one; what it prints. Raises `StackError`.

        A benchmark that did not measure all exits with 1, and prints what it has.
        """
        environment = {name: value for name, value in os.environ.items() if name != "LIVESHELF_FILE"}
        environment |= {
            "PYTHONPATH": str(self.checkout),
            "LIVESHELF_STACK__DATA_DIR": str(self.folder),
            "LIVESHELF_STACK__JARS_DIR": str(self.jars),
        }
        entry = next(name for name in ENTRIES if (self.checkout / f"{name.replace('.', '/')}.py").is_file())
        command = [sys.executable, "-c", f"from {entry} import main; main()", *words]
        process = subprocess.run(
            command, capture_output=True, text=True, cwd=self.checkout, env=environment, timeout=TURN_S
        )
        if process.returncode and not (words[0] == "bench" and process.stdout):
            called = f"`liveshelf {' '.join(words)}` of {self.name} to succeed"
            raise StackError(called, process.stderr[-600:], "correct the cause above")
        return process.stdout

    def turn(self, drain: Sequence[str], fresh: Sequence[str]) -> Turn:
        """An empty stack, a drain, freshness."""
        self.liveshelf("down", "--purge")
        try:
            self.liveshelf("up")
            self.liveshelf("submit", "--fresh")
            drained = json.loads(self.liveshelf("bench", "throughput", *drain, "--json"))
            figures = drained_figures(drained)
            figures |= fresh_figures(json.loads(self.liveshelf("bench", "freshness", *fresh, "--json")))
            self.bundle = str(drained["bundle"])
        finally:
            self.liveshelf("down", "--purge")
        self.turns.append(figures)
        return figures


def drained_figures(result: dict[str, Any]) -> Turn:
    """Of `bench throughput`; an older one prints a rate, or 0, also where it measured nothing."""
    reasons = sorted({*result.get("not_measured", {}).values()})
    if not reasons and (not result["lists_per_s"] or result["lists"] < SCORED * result["events"]):
        reasons = [f"{result['lists']} lists of {result['events']} events came"]
    costs = [*result.get("cpu_s_per_1000", {}).values()]
    return {
        "lists/s": unless(reasons, result["lists_per_s"] or NotMeasured("")),
        "CPU s per 1,000 lists": NotMeasured("; ".join(reasons)) if reasons else total(costs, 4),
    }


def fresh_figures(result: dict[str, Any]) -> Turn:
    """Of `bench freshness`; an older one prints percentiles of whatever came."""
    missing, percentiles = result["users_unanswered"], result["freshness_ms"]
    wrong = f"{missing} users had no list of all their events" if missing else "" if result["lists"] else "no list came"
    reasons = sorted({*result.get("not_measured", {}).values()} | ({wrong} if wrong else set()))
    if reasons:
        return dict.fromkeys(("p50 ms", "p99 ms"), NotMeasured("; ".join(reasons)))
    return {"p50 ms": percentiles["p50"], "p99 ms": percentiles["p99"]}


def compared(this: Side, other: Side, tolerated: float) -> list[dict[str, Any]]:
    """A row a figure: medians, their ratio (above 1: this side is better), and the ratio of each pair of turns."""
    rows, wrong = list[dict[str, Any]](), list[str]()
    if this.bundle != other.bundle:
        wrong = [f"the sides served other bundles: {this.bundle}, {other.bundle}"]
    for name, better in FIGURES.items():
        these, others = ([turn[name] for turn in side.turns] for side in (this, other))
        medians = {this.name: median(these, 4), other.name: median(others, 4)}
        improvement = unless(wrong, better(*medians.values()))
        pairs = unless(wrong, [better(*pair) for pair in zip(these, others, strict=True)])
        measured = [pair for pair in pairs if not isinstance(pair, NotMeasured)]
        rows.append(
            {
                "figure": name,
                **medians,
                "ratio": improvement,
                "pairs": pairs,
                "scatter": f"{min(measured)} to {max(measured)}" if measured else "",
                "worse": not isinstance(improvement, NotMeasured) and improvement < 1 - tolerated,
            }
        )
    return rows


@contextmanager
def worktree(revision: str, target: Path) -> Iterator[Path]:
    """The files of a commit; gone afterwards. Raises `StackError`."""
    git("worktree", "add", "--detach", str(target), revision)
    try:
        yield target
    finally:
        git("worktree", "remove", "--force", str(target))


def snapshot(index: Path) -> str:
    """A commit of this checkout as it is now, new files too; neither branch nor index (`index`: another one) know of it."""
    variables = {"GIT_INDEX_FILE": str(index)}
    for words in (("read-tree", "HEAD"), ("add", "--all")):
        git(*words, **variables)
    # a machine on which nobody has told git a name makes snapshots too
    nobody = ("-c", "user.name=liveshelf", "-c", "user.email=liveshelf@localhost")
    return git(
        *nobody, "commit-tree", git("write-tree", **variables), "-p", "HEAD", "-m", "benchmarks.running_stack.against"
    )


def git(*words: str, **variables: str) -> str:
    """What git prints. Raises `StackError`."""
    command, environment = ["git", *words], os.environ | variables
    process = subprocess.run(command, capture_output=True, text=True, cwd=project_root(), env=environment)
    if process.returncode:
        raise StackError(
            f"`git {' '.join(words)}` to succeed", process.stderr[-300:].strip(), "correct the cause above"
        )
    return process.stdout.strip()


def measure(
    revision: str,
    rounds: int,
    drain: Sequence[str],
    fresh: Sequence[str],
    tolerated: float,
    on_turn: Callable[[int, str, Turn], object],
) -> dict[str, Any]:
    """Throughput and freshness of this checkout and of `revision` in turns: figures, their ratios, every turn.

    `drain` and `fresh`: options of `bench throughput` and `bench freshness`; `tolerated`: how much worse, as a share, this
    side may be; `on_turn` hears of each turn. Raises `StackError`.
    """
    settings, name = load_settings(), f"this ({git('describe', '--always', '--dirty')})"
    other_name = git("rev-parse", "--short", "--verify", f"{revision}^{{commit}}")
    jars = settings.resolve(settings.stack.jars_dir)
    folder = Path(tempfile.mkdtemp(prefix="liveshelf-against-"))  # stays where a stack could not be stopped
    with worktree(revision, folder / "A") as a, worktree(snapshot(folder / "index"), folder / "B") as b:
        other = Side(other_name, a, folder / "a", jars)
        this = Side(name, b, folder / "b", jars)
        for number in range(rounds):
            for side in (other, this):
                on_turn(number + 1, side.name, side.turn(drain, fresh))
    shutil.rmtree(folder)
    return {
        "bench": "against",
        "rounds": rounds,
        "drain": [*drain],
        "fresh": [*fresh],
        "bundle": this.bundle,
        "figures": compared(this, other, tolerated),
        "turns": {side.name: side.turns for side in (this, other)},
        "machine": describe(),
    }
