"""Two commits in turns: what is taken of each one's JSON, old or new, and what is said of the pairs."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from benchmarks.measuring.measured import NotMeasured
from benchmarks.running_stack import against
from benchmarks.running_stack.against import FIGURES, Side, compared, freshness_figures, throughput_figures
from operators.errors import StackError
from tests.running_stack import ROOT

DRAINED = {
    "events": 100,
    "lists": 100,
    "lists_per_s": 5000,
    "cpu_s_per_1000": {"kafka": 0.03, "taskmanager-0": 0.2},
    "bundle": "demo 1",
}
FRESH = {"lists": 500, "users_unanswered": 0, "freshness_ms": {"p50": 10.0, "p95": 20.0, "p99": 30.0, "max": 40.0}}


def test_figures_are_taken_of_both_benchmarks() -> None:
    assert throughput_figures(DRAINED) | freshness_figures(FRESH) == {
        "lists/s": 5000, "CPU s per 1,000 lists": 0.23, "p50 ms": 10.0, "p99 ms": 30.0
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"lists": 0, "lists_per_s": 0.0}, "0 lists of 100 events came"),
        ({"lists": 98, "note": "only 98 lists of 100 events"}, "98 lists of 100 events came"),
        ({"lists_per_s": None, "not_measured": {"lists_per_s": "the job was restarted"}}, "the job was restarted"),
    ],
)
def test_a_drain_of_nothing_is_not_measured_whatever_an_older_side_prints(change: dict[str, Any], reason: str) -> None:
    assert set(throughput_figures(DRAINED | change).values()) == {NotMeasured(reason)}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"lists": 0}, "no list came"),
        ({"users_unanswered": 3}, "3 users had no list of all their events"),
        ({"not_measured": {"freshness_ms.p99": "99 values came, a p99 needs 100"}}, "99 values came, a p99 needs 100"),
    ],
)
def test_freshness_of_nothing_is_not_measured_whatever_an_older_side_prints(
    change: dict[str, Any], reason: str
) -> None:
    assert set(freshness_figures(FRESH | change).values()) == {NotMeasured(reason)}


def sides(candidate_rates: list[float], baseline_rates: list[float], **bundles: str) -> tuple[Side, Side]:
    return (
        Side(
            "this",
            Path(),
            Path(),
            Path(),
            [dict.fromkeys(FIGURES, value) for value in candidate_rates],
            bundles.get("this", "demo"),
        ),
        Side(
            "other",
            Path(),
            Path(),
            Path(),
            [dict.fromkeys(FIGURES, value) for value in baseline_rates],
            bundles.get("other", "demo"),
        ),
    )


def test_a_ratio_above_1_is_better_and_pairs_are_of_one_round() -> None:
    rows = {row["figure"]: row for row in compared(*sides([110.0, 90.0, 100.0], [100.0, 100.0, 50.0]), 0.03)}
    throughput_row, latency_row = rows["lists/s"], rows["p99 ms"]
    assert (throughput_row["this"], throughput_row["other"], throughput_row["ratio"]) == (100.0, 100.0, 1.0)
    assert throughput_row["pairs"] == [1.1, 0.9, 2.0] and throughput_row["scatter"] == "0.9 to 2.0"
    assert latency_row["pairs"] == [0.909, 1.111, 0.5]


def test_only_what_is_worse_than_tolerated_is_worse() -> None:
    for candidate_rate, worse in (
        (98.0, [False] * 4),
        (96.0, [True, False, False, False]),
        (104.0, [False, True, True, True]),
    ):
        assert [row["worse"] for row in compared(*sides([candidate_rate], [100.0]), 0.03)] == worse


def test_another_bundle_is_another_work() -> None:
    rows = compared(*sides([1.0], [1.0], this="a", other="b"), 0.03)
    assert {row["ratio"] for row in rows} == {NotMeasured("the sides served other bundles: a, b")}
    assert not any(row["worse"] for row in rows)


@pytest.mark.parametrize("entry", against.ENTRIES)
def test_a_turn_begins_and_ends_with_an_empty_stack(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, entry: str
) -> None:
    commands: list[str] = []
    program_file = tmp_path / "checkout" / f"{entry.replace('.', '/')}.py"
    program_file.parent.mkdir(parents=True)
    program_file.touch()

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        program, verb, *words = command[2:]
        assert program == f"from {entry} import main; main()"
        commands.append(f"{verb} {words[0]}" if words else verb)
        assert options["env"]["PYTHONPATH"] == str(options["cwd"]) == str(tmp_path / "checkout")
        assert options["env"]["LIVESHELF_STACK__DATA_DIR"] == str(tmp_path / "data")
        assert options["env"]["LIVESHELF_STACK__JARS_DIR"] == str(tmp_path / "jars")
        failed = verb == "bench" and command[-2] == failing
        output = {"throughput": DRAINED, "freshness": FRESH}.get(command[-2], {})
        return subprocess.CompletedProcess(command, int(failed), "" if failed else json.dumps(output), "no room")

    failing, speeds = "", iter((9.0, 10.0, 14.0, 1.0))
    monkeypatch.setattr(against.subprocess, "run", run)
    monkeypatch.setattr(against, "speed", lambda: next(speeds))
    side = Side("a", tmp_path / "checkout", tmp_path / "data", tmp_path / "jars")
    assert side.turn([], [])["lists/s"] == 5000 and side.bundle == "demo 1"
    all_commands = ["down --purge", "up", "submit --fresh", "bench throughput", "bench freshness", "down --purge"]
    assert commands == all_commands
    assert side.turns[0]["speed"] == 11.0, "a mean"
    commands, failing = [], "throughput"
    with pytest.raises(StackError, match="no room"):
        side.turn([], [])
    assert commands == [*all_commands[:4], "down --purge"] and len(side.turns) == 1


def test_a_benchmark_that_measured_a_part_is_heard_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1, '{"lists": 1}', "not measured: p99")
    monkeypatch.setattr(against.subprocess, "run", lambda *_, **__: failed)
    side = Side("a", Path(), Path(), Path())
    assert side.liveshelf("bench", "freshness") == '{"lists": 1}'
    with pytest.raises(StackError, match="p99"):
        side.liveshelf("up")


needs_git = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the repository")


@needs_git
def test_a_worktree_of_a_commit_is_gone_afterwards(tmp_path: Path) -> None:
    with against.worktree("HEAD", tmp_path / "a") as checkout:
        assert (checkout / "liveshelf.toml").is_file()
    assert not checkout.exists()
    with pytest.raises(StackError, match="no-such-commit"), against.worktree("no-such-commit", tmp_path / "b"):
        pass


@needs_git
def test_a_snapshot_holds_the_checkout_as_it_is_and_leaves_it_alone(tmp_path: Path) -> None:
    before = against.git("status", "--porcelain"), against.git("rev-parse", "HEAD")
    commit = against.snapshot(tmp_path / "index")
    assert (
        against.git("show", f"{commit}:benchmarks/running_stack/against.py")
        == Path(against.__file__).read_text().strip()
    )
    assert (against.git("status", "--porcelain"), against.git("rev-parse", "HEAD")) == before
