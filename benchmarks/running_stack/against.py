"""Compares two commits in one run, A B A B: `liveshelf bench against REV --rounds 4`.

Each side is a git worktree in a temporary folder: the baseline of REV, the candidate of this checkout at the start. Each
turn starts an empty stack, drains a backlog (which also warms the JVM) and then measures freshness, with the command line
of its side: the sides share only verbs and their JSON. Nothing else may run, not even this checkout's stack; its data stay.
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
from statistics import fmean
from typing import Any

from benchmarks.measuring.machine import describe, speed
from benchmarks.measuring.measured import Figure, NotMeasured, measured_unless, median, ratio, total
from benchmarks.running_stack.throughput import SCORED
from operators.errors import StackError
from operators.settings import load_settings, project_root

TURN_S = 1200.0  # for one verb
ENTRIES = (
    "liveshelf.main",
    "pipelines.cli.main",
)  # the modules of the command; the second one until 2026-11
Turn = dict[str, Figure]


def less_is_better(candidate: Figure, baseline: Figure) -> Figure:
    """Above 1 if the candidate is better."""
    return ratio(baseline, candidate)


# figure -> the ratio of candidate and baseline, above 1 if the candidate is better
FIGURES: dict[str, Callable[[Figure, Figure], Figure]] = {
    "lists/s": ratio, "CPU s per 1,000 lists": less_is_better, "p50 ms": less_is_better, "p99 ms": less_is_better
}  # fmt: skip


@dataclass
class Side:
    """A commit's files and its stack, whose data are in `folder`."""

    name: str
    checkout: Path
    folder: Path
    jars: Path
    turns: list[Turn] = field(default_factory=list)
    bundle: str = ""

    def liveshelf(self, *arguments: str) -> str:
        """Runs a verb of this side with this interpreter and returns its stdout. Raises `StackError`.

        A benchmark that lacks a figure exits with 1 and still prints its result.
        """
        environment = {name: value for name, value in os.environ.items() if name != "LIVESHELF_FILE"}
        environment |= {
            "PYTHONPATH": str(self.checkout),
            "LIVESHELF_STACK__DATA_DIR": str(self.folder),
            "LIVESHELF_STACK__JARS_DIR": str(self.jars),
        }
        entry = next(name for name in ENTRIES if (self.checkout / f"{name.replace('.', '/')}.py").is_file())
        command = [sys.executable, "-c", f"from {entry} import main; main()", *arguments]
        process = subprocess.run(
            command, capture_output=True, text=True, cwd=self.checkout, env=environment, timeout=TURN_S
        )
        if process.returncode and not (arguments[0] == "bench" and process.stdout):
            expected = f"`liveshelf {' '.join(arguments)}` of {self.name} to succeed"
            raise StackError(expected, process.stderr[-600:], "correct the cause above")
        return process.stdout

    def turn(self, throughput_options: Sequence[str], freshness_options: Sequence[str]) -> Turn:
        """Starts an empty stack, drains a backlog, measures freshness. `speed`: of the machine before, between and after."""
        self.liveshelf("down", "--purge")
        speeds = [speed()]
        try:
            self.liveshelf("up")
            self.liveshelf("submit", "--fresh")
            throughput = json.loads(self.liveshelf("bench", "throughput", *throughput_options, "--json"))
            figures = throughput_figures(throughput)
            speeds.append(speed())
            figures |= freshness_figures(json.loads(self.liveshelf("bench", "freshness", *freshness_options, "--json")))
            self.bundle = str(throughput["bundle"])
        finally:
            self.liveshelf("down", "--purge")
        figures["speed"] = round(fmean([*speeds, speed()]), 1)
        self.turns.append(figures)
        return figures


def throughput_figures(result: dict[str, Any]) -> Turn:
    """The figures of `bench throughput`. Older versions print a rate, or 0, even if they measured nothing."""
    reasons = sorted({*result.get("not_measured", {}).values()})
    if not reasons and (not result["lists_per_s"] or result["lists"] < SCORED * result["events"]):
        reasons = [f"{result['lists']} lists of {result['events']} events came"]
    costs = [*result.get("cpu_s_per_1000", {}).values()]
    return {
        "lists/s": measured_unless(reasons, result["lists_per_s"] or NotMeasured("")),
        "CPU s per 1,000 lists": NotMeasured("; ".join(reasons)) if reasons else total(costs, 4),
    }


def freshness_figures(result: dict[str, Any]) -> Turn:
    """The figures of `bench freshness`. Older versions print percentiles even if lists are missing."""
    missing_users, percentiles = result["users_unanswered"], result["freshness_ms"]
    reason = (
        f"{missing_users} users had no list of all their events"
        if missing_users
        else ""
        if result["lists"]
        else "no list came"
    )
    reasons = sorted({*result.get("not_measured", {}).values()} | ({reason} if reason else set()))
    if reasons:
        return dict.fromkeys(("p50 ms", "p99 ms"), NotMeasured("; ".join(reasons)))
    return {"p50 ms": percentiles["p50"], "p99 ms": percentiles["p99"]}


def compared(candidate: Side, baseline: Side, tolerated: float) -> list[dict[str, Any]]:
    """A row for each figure: medians, their ratio (above 1: the candidate is better), and the ratio of each pair of turns."""
    rows, reasons = list[dict[str, Any]](), list[str]()
    if candidate.bundle != baseline.bundle:
        reasons = [f"the sides served other bundles: {candidate.bundle}, {baseline.bundle}"]
    for name, compare_figures in FIGURES.items():
        candidate_figures, baseline_figures = ([turn[name] for turn in side.turns] for side in (candidate, baseline))
        medians = {candidate.name: median(candidate_figures, 4), baseline.name: median(baseline_figures, 4)}
        improvement = measured_unless(reasons, compare_figures(*medians.values()))
        pairs = measured_unless(
            reasons, [compare_figures(*pair) for pair in zip(candidate_figures, baseline_figures, strict=True)]
        )
        measured_pairs = [pair for pair in pairs if not isinstance(pair, NotMeasured)]
        rows.append(
            {
                "figure": name,
                **medians,
                "ratio": improvement,
                "pairs": pairs,
                "scatter": f"{min(measured_pairs)} to {max(measured_pairs)}" if measured_pairs else "",
                "worse": not isinstance(improvement, NotMeasured) and improvement < 1 - tolerated,
            }
        )
    return rows


@contextmanager
def worktree(revision: str, target: Path) -> Iterator[Path]:
    """A worktree of a commit, removed at the end. Raises `StackError`."""
    git("worktree", "add", "--detach", str(target), revision)
    try:
        yield target
    finally:
        git("worktree", "remove", "--force", str(target))


def snapshot(index: Path) -> str:
    """Commits this checkout with its new files, without touching branch and index. `index`: a temporary index file."""
    variables = {"GIT_INDEX_FILE": str(index)}
    for arguments in (("read-tree", "HEAD"), ("add", "--all")):
        git(*arguments, **variables)
    # works without a git identity
    identity = ("-c", "user.name=liveshelf", "-c", "user.email=liveshelf@localhost")
    return git(
        *identity, "commit-tree", git("write-tree", **variables), "-p", "HEAD", "-m", "benchmarks.running_stack.against"
    )


def git(*arguments: str, **variables: str) -> str:
    """Runs git and returns its stdout. Raises `StackError`."""
    command, environment = ["git", *arguments], os.environ | variables
    process = subprocess.run(command, capture_output=True, text=True, cwd=project_root(), env=environment)
    if process.returncode:
        raise StackError(
            f"`git {' '.join(arguments)}` to succeed", process.stderr[-300:].strip(), "correct the cause above"
        )
    return process.stdout.strip()


def measure(
    revision: str,
    rounds: int,
    throughput_options: Sequence[str],
    freshness_options: Sequence[str],
    tolerated: float,
    on_turn: Callable[[int, str, Turn], object],
) -> dict[str, Any]:
    """Measures throughput and freshness of this checkout and of `revision` in turns.

    `throughput_options`, `freshness_options`: of `bench throughput` and `bench freshness`. `tolerated`: the share by which
    the candidate may be worse. `on_turn` gets (round, side, figures) of each turn. Raises `StackError`.
    """
    settings, name = load_settings(), f"this ({git('describe', '--always', '--dirty')})"
    baseline_name = git("rev-parse", "--short", "--verify", f"{revision}^{{commit}}")
    jars = settings.resolve(settings.stack.jars_dir)
    folder = Path(tempfile.mkdtemp(prefix="liveshelf-against-"))  # stays if a stack cannot be stopped
    with worktree(revision, folder / "A") as a, worktree(snapshot(folder / "index"), folder / "B") as b:
        baseline = Side(baseline_name, a, folder / "a", jars)
        candidate = Side(name, b, folder / "b", jars)
        for number in range(rounds):
            for side in (baseline, candidate):
                on_turn(number + 1, side.name, side.turn(throughput_options, freshness_options))
    shutil.rmtree(folder)
    return {
        "bench": "against",
        "rounds": rounds,
        "drain": [*throughput_options],
        "fresh": [*freshness_options],
        "bundle": candidate.bundle,
        "figures": compared(candidate, baseline, tolerated),
        "speed": {side.name: median([turn["speed"] for turn in side.turns], 1) for side in (candidate, baseline)},
        "turns": {side.name: side.turns for side in (candidate, baseline)},
        "machine": describe(),
    }
