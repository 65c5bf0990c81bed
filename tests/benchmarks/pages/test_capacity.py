"""The arithmetic of docs/scale.md, by hand on round figures, and that the page is the one that the code makes."""

import copy
from typing import Any

import pytest

from benchmarks.pages.capacity import Costs, ShopSize, all_kept, needs, page, partitions
from operators.errors import LiveshelfError
from tests.running_stack import ROOT

BUNDLE = "demo 1, 1000 items"
RESULTS = {
    "throughput": {
        "cpu_s_per_1000": {"taskmanager-0": 0.15, "taskmanager-1": 0.01, "kafka": 0.03, "storefront": 0.05},
        "bundle": BUNDLE,
    },
    "scorer": {"grid": [
        {"items": items, "us_a_user": 50 + items / 1000, "width": 128, "table": "float32", "batch": 64}
        for items in (1000, 11_000, 101_000)
    ]},
    "state": {"sizes": [
        {"bytes_a_user": 1000, "savepoint_mb": 100.0, "savepoint_s": 1.0},
        {"bytes_a_user": 1000, "savepoint_mb": 800.0, "savepoint_s": 4.0},
    ]},
    "sustain": {"sustained_per_s": 5000, "bundle": BUNDLE},
    "storefront": {"cores_used": {"storefront": 0.825}, "lists_per_s": 500.0, "requests_per_s": 8000.0},
    "scale": {"cost": {"b": 0.002}},
}  # fmt: skip


def test_costs_are_taken_apart() -> None:
    costs = Costs.of(RESULTS)
    assert costs.scoring == pytest.approx((50, 0.001))
    assert costs.rest_us == pytest.approx(160 - 51)
    assert costs.lookup_us == pytest.approx(100)  # (0.825 - 500 * 50e-6) / 8000
    assert costs.savepoint_mb_per_s == pytest.approx(200)
    assert costs.list_us(1000) == pytest.approx(160)


def test_needs_are_the_costs_times_the_shop() -> None:
    needs_of_shop = needs(RESULTS, ShopSize(users=10_000_000, items=161_000, events_per_s=30_000, lookups_per_s=60_000))
    assert needs_of_shop["us a list, TaskManager"] == 320  # twice the 160 of 1,000 items: half of the lists a slot
    assert needs_of_shop["slots, a TaskManager each"] == 20  # 30,000 / (0.6 * 2,500)
    assert needs_of_shop["cores for them"] == 16  # 30,000 * 320 us / 0.6
    assert needs_of_shop["partitions"] == 40
    assert (
        needs_of_shop["state, GB in a savepoint, at most"] == 9.6 and needs_of_shop["GB a slot"] == 0.48
    )  # 956 bytes a user
    assert needs_of_shop["s for a savepoint"] == 2.4
    assert needs_of_shop["storefronts, by lists taken in"] == 3 and needs_of_shop["storefronts, by look-ups"] == 10
    assert partitions(1) == 12


def test_a_result_that_is_missing_is_named() -> None:
    with pytest.raises(LiveshelfError, match="no scorer"):
        needs({name: result for name, result in RESULTS.items() if name != "scorer"}, ShopSize(1, 1, 1, 1))


@pytest.mark.parametrize(
    ("bench", "path"),
    [
        ("throughput", ("cpu_s_per_1000", "kafka")),
        ("throughput", ("cpu_s_per_1000",)),
        ("state", ("sizes", -1, "savepoint_s")),
        ("sustain", ("sustained_per_s",)),
        ("storefront", ("requests_per_s",)),
        ("scorer", ("grid", 0, "us_a_user")),
    ],
)
def test_a_figure_that_was_not_measured_is_named_and_nothing_is_computed(bench: str, path: tuple[Any, ...]) -> None:
    results = copy.deepcopy(RESULTS)
    results["scorer"]["grid"] = results["scorer"]["grid"][:2]  # type: ignore[index]
    spoiled: Any = results[bench]
    for step in path[:-1]:
        spoiled = spoiled[step]
    spoiled[path[-1]] = None
    with pytest.raises(LiveshelfError, match=bench if bench != "scorer" else "scorer times at two sizes"):
        needs(results, ShopSize(1, 1, 1, 1))


def test_a_cost_below_nothing_is_no_cost() -> None:
    results = copy.deepcopy(RESULTS)
    results["storefront"]["cores_used"]["storefront"] = 0.02  # type: ignore[index]
    with pytest.raises(LiveshelfError, match="lookup_us"):
        Costs.of(results)


def test_the_page_is_the_one_that_the_code_makes() -> None:
    assert (ROOT / "docs" / "scale.md").read_text() == page(all_kept()), "run `make capacity`"
