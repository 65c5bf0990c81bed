"""Kept results against new ones, and what is read from wrk."""

import json
import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.measuring import results
from benchmarks.measuring.load import Load
from benchmarks.measuring.measured import NotMeasured
from benchmarks.models.roofline import Roofline
from benchmarks.models.scorer import Shape
from benchmarks.models.seeds import mean_and_deviation
from benchmarks.pages.growth import points
from benchmarks.running_stack.storefront import parsed
from liveshelf.bench.bench import app as bench
from operators.errors import LiveshelfError, StackError

WRK = """Running 20s test @ http://127.0.0.1:8000
  1 threads and 8 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     4.20ms    2.50ms  40.12ms   91.20%
    Req/Sec     1.98k   210.45     2.40k    70.00%
  Latency Distribution
     50%  950.00us
     90%    7.25ms
     99%    1.02s
  39512 requests in 20.03s, 120.11MB read
  Non-2xx or 3xx responses: 12
Requests/sec:   1972.64
Transfer/sec:      6.00MB
"""


def keep_result(folder: Path, name: str, **ratios: float | None) -> dict[str, dict[str, object]]:
    file = folder / name
    file.write_text(json.dumps({"bench": "throughput", "ratios": ratios}))
    return results.read(file)


def test_a_loss_beyond_what_noise_explains_is_said(tmp_path: Path) -> None:
    before = keep_result(tmp_path, "a.json", held=1.0, lost=1.0, gone=1.0, better=1.0)
    now = keep_result(tmp_path, "b.json", held=0.86, lost=0.84, better=2.0, new=1.0)
    changes = results.compare([before], now)
    assert {change.name: change.is_lost for change in changes} == {
        "held": False, "lost": True, "gone": True, "better": False, "new": False
    }  # fmt: skip
    assert [row[-1] for row in results.rows(changes)] == ["", "lost", "lost", "", "new"]


def test_of_several_kept_runs_the_median_counts_and_the_lowest_excuses(tmp_path: Path) -> None:
    for number, (steady, scattered) in enumerate([(1.0, 0.5), (1.1, 1.0), (0.9, 1.2)]):
        (tmp_path / str(number)).mkdir()
        keep_result(tmp_path / str(number), "a.json", steady=steady, scattered=scattered)
    runs = results.read_runs(tmp_path)
    now = keep_result(tmp_path, "now.json", steady=0.8, scattered=0.6)
    changes_by_name = {
        change.name: (change.kept_median, change.is_lower, change.is_lost) for change in results.compare(runs, now)
    }
    assert changes_by_name == {"steady": (1.0, True, True), "scattered": (1.0, True, False)}
    assert results.rows(results.compare(runs, now))[1][2:] == (
        "1", "0.5 to 1.2", "0.6", "lower, as a kept run was too"
    )  # fmt: skip


def test_what_the_user_did_without_is_no_loss(tmp_path: Path) -> None:
    now = keep_result(tmp_path, "b.json", a=1.0, b=None)
    now["throughput"]["left_out"] = {"ratios.b": "apt-get install wrk"}
    (_, change) = results.compare([keep_result(tmp_path, "a.json", a=1.0, b=1.0)], now)
    assert not change.is_failure and change.remark == "not measured: apt-get install wrk"


def test_what_the_run_failed_to_measure_is_no_loss_and_no_success(tmp_path: Path) -> None:
    now = keep_result(tmp_path, "b.json", a=1.0, b=None)
    now["throughput"]["not_measured"] = {"ratios.b": "no list came"}
    (_, change) = results.compare([keep_result(tmp_path, "a.json", a=1.0, b=1.0)], now)
    assert change.is_failure and not change.is_lost and change.remark == "not measured: no list came"
    assert results.rows([change])[0][2:] == ("1", "", "-", "not measured: no list came")


def test_a_kept_run_that_measured_nothing_does_not_count(tmp_path: Path) -> None:
    kept_runs = [keep_result(tmp_path, "a.json", a=None), keep_result(tmp_path, "c.json", a=2.0)]
    (change,) = results.compare(kept_runs, keep_result(tmp_path, "b.json", a=1.9))
    assert change.runs == (2.0,) and not change.is_failure
    (change,) = results.compare(kept_runs[:1], keep_result(tmp_path, "b.json", a=1.9))
    assert change.kept_median is None and change.remark == "new"


def test_a_figure_that_was_not_measured_is_said_where_it_is_needed(tmp_path: Path) -> None:
    results_of_file = keep_result(tmp_path, "a.json", a=None, b=1.0)
    results_of_file["throughput"]["not_measured"] = {"ratios.a": "no list came"}
    assert results.figure(results_of_file, "throughput", "ratios", "b") == 1.0
    for path in (("ratios", "a"), ("ratios", "a", 3), ("nothing",), ("ratios", "c")):
        with pytest.raises(LiveshelfError, match=r"throughput: .*no list came"):
            results.figure(results_of_file, "throughput", *path)


def test_benches_that_only_one_file_has_are_not_compared(tmp_path: Path) -> None:
    other_file = tmp_path / "one.json"
    other_file.write_text('{"bench": "scorer", "ratios": {"a": 1}}')
    assert results.compare([keep_result(tmp_path, "a.json", a=1.0)], results.read(other_file)) == []


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"no": 1}'])
def test_a_file_that_holds_no_result_is_said(tmp_path: Path, content: str) -> None:
    file = tmp_path / "x.json"
    file.write_text(content)
    with pytest.raises(LiveshelfError, match=r"x\.json"):
        results.read(file)


@pytest.mark.parametrize(
    ("now", "code"),
    [
        ({"ratios": {"a": 1.0}}, 0),
        ({"ratios": {"a": 0.5}}, 1),
        ({"ratios": {"a": None}, "left_out": {"ratios.a": "no wrk"}}, 0),
        ({"ratios": {"a": None}, "not_measured": {"ratios.a": "no list came"}}, 1),
        ({"bench": "other", "ratios": {"a": 1.0}}, 1),
    ],
)
def test_the_verb_exits_with_1_where_nobody_knows(tmp_path: Path, now: dict[str, object], code: int) -> None:
    keep_result(tmp_path, "kept.json", a=1.0)
    (tmp_path / "now.json").write_text(json.dumps({"bench": "throughput"} | now))
    result = CliRunner().invoke(bench, ["compare", str(tmp_path / "kept.json"), str(tmp_path / "now.json"), "--json"])
    assert result.exit_code == code


def test_what_was_not_measured_is_no_point_of_a_curve() -> None:
    rows = [{"users": 1, "lists_per_s": 9.0}, {"users": 2, "lists_per_s": None}, {"users": 3, "lists_per_s": 7.0}]
    assert points(rows, "users", "lists_per_s") == ([1, 3], [9.0, 7.0])
    with pytest.raises(LiveshelfError, match="1 measured"):
        points(rows[:2], "users", "lists_per_s")


def test_one_seed_has_no_deviation() -> None:
    assert mean_and_deviation([1.0, 3.0], 3) == (2.0, 1.414)
    assert mean_and_deviation([1.0], 3) == (1.0, NotMeasured("a deviation needs two seeds", left_out=True))
    assert isinstance(mean_and_deviation([math.nan, 1.0], 3)[0], NotMeasured)


def test_wrk_is_read() -> None:
    report = parsed(WRK)
    assert report == {
        "requests_per_s": 1972.64,
        "latency_ms": {"p50": 0.95, "p90": 7.25, "p99": 1020.0},
        "failed": 12,
        "timed_out": 0,
    }
    assert parsed(WRK.replace("Non-2xx", "x"))["failed"] == 0
    errors = "  Socket errors: connect 1, read 2, write 0, timeout 4\nRequests/sec"
    assert parsed(WRK.replace("Requests/sec", errors))["timed_out"] == 7
    with pytest.raises(StackError, match="wrk"):
        parsed("unable to connect")


def test_a_stride_visits_all_users_and_repeats_no_event() -> None:
    load = Load(client={}, items=["i"], count=0, rate=0, users=1000, tag="t", each_user_once=True, stride=7919)
    assert math.gcd(load.stride, load.users) == 1
    assert len({number * load.stride % load.users for number in range(load.users)}) == load.users


def test_the_roof_is_the_slower_of_products_and_memory() -> None:
    roof = Roofline(gemm=1e9, bandwidth=1e9)
    shape = Shape(items=1000, width=64, table="float32")
    assert roof.seconds(2e9, 1e9) == 2.0
    assert roof.seconds(1e9, 3e9) == 3.0
    assert shape.operations(2) == 2 * shape.operations(1)
    assert shape.traffic(1) - Shape(1000, 64, "int8").traffic(1) == 3 * 1000 * 64
