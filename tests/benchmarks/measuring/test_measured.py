"""A figure that a run lacks is null with a reason, and nothing is made of it."""

import json
import math
import random

import pytest
from hdrh.histogram import HdrHistogram

from benchmarks.measuring.measured import (
    NotMeasured,
    as_json,
    measured_unless,
    median,
    percentile,
    percentiles_ms,
    ratio,
    rounded,
    total,
)

NONE = NotMeasured("no list came")


def histogram(*values_us: int) -> HdrHistogram:
    hdr_histogram = HdrHistogram(1, 120_000_000, 3)
    for value in values_us:
        hdr_histogram.record_value(value)
    return hdr_histogram


def test_an_empty_histogram_has_no_percentile_and_no_maximum() -> None:
    assert all(isinstance(figure, NotMeasured) for figure in percentiles_ms(histogram()).values())


def test_a_percentile_needs_as_many_values_as_it_divides_by() -> None:
    percentiles = percentiles_ms(histogram(*[1000 * n for n in range(1, 100)]))
    assert (percentiles["p50"], percentiles["p95"], percentiles["max"]) == (50.0, 94.0, 99.0)
    assert percentiles["p99"] == NotMeasured("99 values came, a p99 needs 100")
    assert percentiles_ms(histogram(*[1000 * n for n in range(1, 101)]))["p99"] == pytest.approx(99, 0.01)


def test_percentiles_of_a_list_are_nearest_ranks_of_any_order() -> None:
    values = [float(n) for n in range(1, 101)]
    random.Random(7).shuffle(values)
    assert [percentile(values, share, 1) for share in (0.5, 0.95, 0.99)] == [50.0, 95.0, 99.0]
    assert percentile([], 0.5, 1) == NotMeasured("0 values came, a p50 needs 2")


def test_nothing_is_made_of_what_was_not_measured() -> None:
    assert ratio(NONE, 2) == ratio(2, NONE) == rounded(NONE, 1) == median([1.0, NONE]) == total([NONE, 1.0], 1) == NONE
    assert ratio(2, 0, zero_reason="no list came") == NONE
    assert isinstance(median([]), NotMeasured) and isinstance(total([], 1), NotMeasured)
    assert (ratio(1, 3), median([3.0, 1.0, 2.0]), total([1.0, 2.0], 0)) == (0.333, 2.0, 3)


def test_reasons_take_every_number_and_leave_names_and_verdicts() -> None:
    figures = {"lists_per_s": 12, "by_part": {"kafka": 0.1}, "rows": [1.5], "name": "x", "held": True}
    assert measured_unless([], figures) is figures
    not_measured = NotMeasured("a; b")
    assert measured_unless(["a", "b"], figures) == {
        "lists_per_s": not_measured, "by_part": {"kafka": not_measured}, "rows": [not_measured], "name": "x", "held": True,
    }  # fmt: skip
    assert measured_unless(["a", "b"], {"by_part": {}}) == {"by_part": not_measured}


def test_json_has_null_and_the_reason_and_no_nan() -> None:
    result = as_json(
        {
            "bench": "x",
            "p50": NONE,
            "rows": [{"rate": 1.0}, {"rate": NONE}],
            "ratios": {"look-ups": NotMeasured("no wrk", left_out=True), "odd": math.nan, "never": math.inf},
            "held": None,
        }
    )
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["p50"] is None and result["rows"][1]["rate"] is None and result["ratios"]["odd"] is None
    assert result["not_measured"] == {
        "p50": "no list came", "rows[1].rate": "no list came", "ratios.odd": "the value is nan",
        "ratios.never": "the value is inf",
    }  # fmt: skip
    assert result["left_out"] == {"ratios.look-ups": "no wrk"}
    assert as_json(result) == result
    assert "not_measured" not in as_json({"bench": "x", "held": None})
