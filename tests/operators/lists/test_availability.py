"""One rule: the job's arrays and the storefront's look-ups say the same of every item at every time."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from operators.kafka_io.catalogue_rows import GONE
from operators.lists.availability import ANYTIME, FOREVER, Coverage, may_be_listed, offer_of
from operators.lists.catalogue import Catalogue
from operators.records.contracts import CatalogueItem
from operators.shopper.features import Vocabulary
from storefront.view.views import CatalogueView
from tests.builders import NOW_MS

WORDS = Vocabulary([f"i{n}" for n in range(1, 7)])
MOMENTS = st.one_of(st.none(), st.integers(NOW_MS - 3, NOW_MS + 3), st.sampled_from([-(10**30), 10**30]))
RECORDS = st.tuples(
    st.sampled_from([*WORDS.item_ids, "unknown"]),
    st.one_of(
        st.sampled_from([None, GONE]),
        st.fixed_dictionaries(
            {"in_stock": st.booleans()}, optional={"available_from": MOMENTS, "available_until": MOMENTS}
        ),
    ),
)


@given(st.lists(RECORDS, max_size=20), st.floats(0, 1), st.lists(st.integers(-5, 5), min_size=1, max_size=6))
def test_job_and_storefront_agree(records: list[tuple[str, Any]], coverage: float, shifts: list[int]) -> None:
    now = [NOW_MS]
    catalogue, shelf = Catalogue(WORDS, coverage), CatalogueView(WORDS, coverage, lambda: now[0])
    for number, (item, change) in enumerate(records):
        for table in (catalogue, shelf):
            table.changed(item, CatalogueItem(item_id=item, **change) if isinstance(change, dict) else change)
        now[0] = NOW_MS + shifts[number % len(shifts)]  # the clock may go back too
        assert catalogue.allowed(now[0])[1:].tolist() == [shelf.may_be_listed(one) for one in WORDS.item_ids]
    assert not catalogue.allowed(now[0])[0]


def test_the_rule() -> None:
    def listed(**facts: Any) -> bool:
        usual = {"held": True, "delisted": False, "in_stock": True, "start": 0, "end": FOREVER}
        return bool(may_be_listed(**(usual | {"covered": True, "now_ms": NOW_MS} | facts)))

    assert listed()
    assert not listed(in_stock=False)
    assert [listed(start=NOW_MS + shift) for shift in (0, 1)] == [True, False]
    assert [listed(end=NOW_MS + shift) for shift in (0, 1)] == [False, True]
    assert [listed(held=False, covered=covered) for covered in (False, True)] == [True, False]
    assert not listed(held=False, covered=False, delisted=True)


def test_coverage_counts_from_one_item_on() -> None:
    none, half = Coverage(10, 0), Coverage(10, 0.5)
    assert not none.reached
    none.held, half.held = 1, 4
    assert none.reached and not half.reached
    half.held = 5
    assert half.reached
    assert not Coverage(0, 0.5).reached, "a storefront without a model"


def test_a_time_of_more_than_64_bits_is_the_last_one_that_fits() -> None:
    far = offer_of(CatalogueItem(item_id="i1", available_from=10**30, available_until=-(10**30)))
    assert far == (True, FOREVER, -FOREVER)
    assert offer_of(CatalogueItem(item_id="i1")) == ANYTIME
