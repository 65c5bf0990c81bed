from pathlib import Path

import msgspec
import pytest

from benchmarks.simulator.ledger import Tally, Window
from benchmarks.simulator.recovery import Recovery, RunPlan, read_run, recovery
from operators.errors import LiveshelfError

PLAN = RunPlan(seed=1, minutes=20, drift_s=600.0, frozen="first", started_at=0, rate=100, shoppers=9, items=9)


def window(end_s: float, shown: float, frozen: float, oracle: float = 0.5, looks: int = 100) -> Window:
    def tally(clicks_a_list: float) -> Tally:
        return Tally(looks, clicks_a_list * looks, round(clicks_a_list * looks))

    return Window(
        end_s=end_s, shown=tally(shown), frozen=tally(frozen), oracle=tally(oracle), popular=tally(0.1),
        models={"m 1" if end_s <= 900 else "m 2": tally(shown)}, sources={"model": looks}, without_list=1,
    )  # fmt: skip


def run(before: float, frozen_end: float, shown_end: float, oracle_end: float = 0.5) -> list[Window]:
    return [
        window(end_s, before, before) if end_s <= 600
        else window(end_s, shown_end if end_s > 900 else frozen_end, frozen_end, oracle_end)
        for end_s in range(10, 1_201, 10)
    ]  # fmt: skip


def judged(windows: list[Window]) -> Recovery:
    return recovery(PLAN, windows)


@pytest.mark.parametrize(("shown_end", "recovered"), [(0.4, 1.0), (0.3, 0.5), (0.2, 0.0), (0.1, -0.5), (0.42, 1.1)])
def test_recovered_is_the_part_of_the_loss_that_came_back(shown_end: float, recovered: float) -> None:
    result = judged(run(before=0.4, frozen_end=0.2, shown_end=shown_end))
    assert result.cost == pytest.approx(0.2)
    assert result.recovered == pytest.approx(recovered)
    assert result.interval == pytest.approx((recovered, recovered))


def test_shoppers_who_are_easier_to_please_after_the_drift_are_no_recovery() -> None:
    """Twice the clicks for everybody: the same levels, the same share."""
    assert judged(run(0.4, 0.4, 0.8, oracle_end=1.0)).recovered == pytest.approx(1.0)


def test_a_drift_that_costs_nothing_has_no_share_to_win_back() -> None:
    result = judged(run(before=0.4, frozen_end=0.4, shown_end=0.4))
    assert result.recovered is None and result.interval is None and result.cost == pytest.approx(0)


def test_windows_that_differ_make_the_interval_wide() -> None:
    windows = run(0.4, 0.2, 0.3)
    for number, one in enumerate(windows):
        one.shown.expected *= 1.3 if number % 2 else 0.7
    result = judged(windows)
    assert result.interval is not None and result.recovered is not None
    assert result.interval[0] < result.recovered - 0.05 and result.recovered + 0.05 < result.interval[1]


def test_bundles_sources_and_shoppers_without_a_list_are_counted() -> None:
    result = judged(run(0.4, 0.2, 0.3))
    assert result.models == {"m 1": 9_000, "m 2": 3_000} and result.sources == {"model": 12_000}
    assert result.without_list == 120 and result.looks == {"before": 5_400, "after": 600, "end": 1_800}


def test_a_run_is_read_as_it_was_written_without_its_last_half_line(tmp_path: Path) -> None:
    file, windows = tmp_path / "run.jsonl", run(0.4, 0.2, 0.3)
    lines = [msgspec.json.encode(record) for record in (PLAN, *windows)]
    file.write_bytes(b"\n".join(lines) + b'\n{"end_s":12')
    assert read_run(file) == (PLAN, windows)


@pytest.mark.parametrize("content", [b"", b"{}\n", b"no json\n", msgspec.json.encode(PLAN) + b"\n{}\n"])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.jsonl").write_bytes(content)
    with pytest.raises(LiveshelfError, match="run of the simulator"):
        read_run(tmp_path / "run.jsonl")


def test_a_run_that_is_too_short_or_without_drift_or_control_is_refused() -> None:
    with pytest.raises(LiveshelfError, match="three windows"):
        judged(run(0.4, 0.2, 0.3)[:20])
    with pytest.raises(LiveshelfError, match="drift"):
        recovery(msgspec.structs.replace(PLAN, drift_s=None), run(0.4, 0.2, 0.3))
    without = run(0.4, 0.2, 0.3)
    without[3].frozen = None
    with pytest.raises(LiveshelfError, match="frozen"):
        judged(without)
