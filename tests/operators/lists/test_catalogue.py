import contextlib
import threading

import numpy as np
import pytest

from operators.errors import BadRecord
from operators.kafka_io.catalogue_rows import GONE
from operators.lists.catalogue import Catalogue
from operators.lists.item_codes import SPARE_CODES
from operators.records.catalogue_decode import read_item
from operators.records.contracts import CatalogueItem
from operators.shopper.features import Vocabulary
from tests.builders import NOW_MS

WORDS = Vocabulary([f"i{n}" for n in range(1, 11)])


def catalogue(*items: CatalogueItem) -> Catalogue:
    made = Catalogue(WORDS, 0.5)
    for item in items:
        made.changed(item.item_id, item)
    return made


def allowed(made: Catalogue, now_ms: int = NOW_MS) -> list[int]:
    return np.flatnonzero(made.allowed(now_ms)).tolist()


def test_without_a_catalogue_everything_but_the_padding_may_be_listed() -> None:
    assert allowed(catalogue()) == list(range(1, 11))


def test_one_test_product_does_not_empty_the_lists_and_half_a_catalogue_decides() -> None:
    assert len(allowed(catalogue(CatalogueItem(item_id="i1")))) == 10
    half = catalogue(*(CatalogueItem(item_id=f"i{n}") for n in range(1, 6)))
    assert allowed(half) == [1, 2, 3, 4, 5]


def test_a_tombstone_delists_and_a_new_record_lists_again() -> None:
    made = catalogue()
    made.changed("i3", None)
    assert 3 not in allowed(made)
    made.changed("i3", CatalogueItem(item_id="i3"))
    assert 3 in allowed(made)


def test_stock_and_items_of_no_model() -> None:
    made = catalogue(CatalogueItem(item_id="i1", in_stock=False))
    made.changed("unknown", CatalogueItem(item_id="unknown"))
    assert allowed(made) == list(range(2, 11))


def test_availability_is_a_window_in_time() -> None:
    made = catalogue(CatalogueItem(item_id="i1", available_from=NOW_MS, available_until=NOW_MS + 10))
    assert [1 in allowed(made, NOW_MS + shift) for shift in (-1, 0, 9, 10)] == [False, True, True, False]


def test_categories_are_told_apart_by_their_whole_path() -> None:
    made = catalogue(
        CatalogueItem(item_id="i1", category=["home", "lamps"]),
        CatalogueItem(item_id="i2", category=["garden", "lamps"]),
        CatalogueItem(item_id="i3", category=["home", "lamps"]),
        CatalogueItem(item_id="i4", category="home"),
    )
    made.allowed(NOW_MS)
    one, two, three, four, none = made.categories.by_row[1:6].tolist()
    assert one == three
    assert len({one, two, four, none}) == 4
    assert none == 0


def test_times_that_no_array_takes_stop_nobodys_list() -> None:
    """An `OverflowError` here was one of each micro-batch, and of each fallback: a restart of the job."""
    made = catalogue()
    for item, time in (("i1", 2**63), ("i2", -(2**63) - 1), ("i3", 2**64), ("i4", 10**400), ("i5", 2**63 - 1)):
        for name in ("available_from", "available_until"):
            value = time if name == "available_until" or time != 2**63 - 1 else -time
            record = b'{"item_id":"%s","%s":%d}' % (item.encode(), name.encode(), value)
            with contextlib.suppress(BadRecord):
                made.changed(item, read_item(item, record))
    assert allowed(made) == [1, *range(3, 11)], "i2 was for sale until long ago"


def test_what_the_topic_no_longer_has_is_unknown_and_not_delisted() -> None:
    """Else the lists would be empty between the day that a topic is made anew and the end of its feed."""
    made = catalogue(*(CatalogueItem(item_id=f"i{n}") for n in range(1, 11)))
    for number in range(1, 11):
        made.changed(f"i{number}", GONE)
    assert allowed(made) == list(range(1, 11))
    made.changed("i1", CatalogueItem(item_id="i1", in_stock=False))
    assert allowed(made) == list(range(2, 11))


@pytest.mark.parametrize("moment", [10**30, -(10**30), 2**63])
def test_a_time_that_no_clock_shows_does_not_break_the_batch(moment: int) -> None:
    made = catalogue(CatalogueItem(item_id="i1", available_from=moment, available_until=moment))
    assert set(range(2, 11)) <= set(allowed(made))


def test_the_answer_changes_with_the_clock_and_only_then_is_made_anew() -> None:
    made = catalogue(CatalogueItem(item_id="i1", available_from=NOW_MS, available_until=NOW_MS + 10))
    assert made.allowed(NOW_MS) is made.allowed(NOW_MS + 9)
    assert made.allowed(NOW_MS + 10) is not made.allowed(NOW_MS + 9)
    assert 1 not in allowed(made, NOW_MS - 1), "a clock that is set back too"


def test_a_record_keeps_nothing_but_its_effect() -> None:
    """Only a fallback list asks in the operator: with a good model, never."""
    made = catalogue()
    sizes = set()
    for number in range(5000):
        made.changed("i1", CatalogueItem(item_id="i1", price=number, title="x" * 1000))
        made.changed(f"of-another-shop{number}", CatalogueItem(item_id=f"of-another-shop{number}"))
        sizes.add(sum(len(held) for held in vars(made).values() if isinstance(held, dict | set | list)))
    assert len(sizes) == 1


def test_categories_that_no_item_has_any_more_are_let_go_and_the_others_stay_apart() -> None:
    made = catalogue(CatalogueItem(item_id="i1", category="lamps"), CatalogueItem(item_id="i2", category="mugs"))
    for number in range(3 * SPARE_CODES):
        made.changed("i3", CatalogueItem(item_id="i3", category=f"c{number}"))
    assert made.categories.by_row.max() <= SPARE_CODES + 20
    made.changed("i4", CatalogueItem(item_id="i4", category="lamps"))
    lamps, mugs, other, same, none = made.categories.by_row[1:6].tolist()
    assert lamps == same and len({lamps, mugs, other, none}) == 4 and none == 0


def test_records_may_come_while_lists_are_made() -> None:
    made, stop, failures = catalogue(CatalogueItem(item_id="i2")), threading.Event(), []

    def ask() -> None:
        while not stop.is_set():
            if 2 not in allowed(made):
                failures.append("an item in stock was not allowed")

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(2000):
        made.changed("i1", CatalogueItem(item_id="i1", in_stock=number % 2 == 0, available_from=number))
    made.changed("i1", CatalogueItem(item_id="i1", in_stock=False))
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert 1 not in allowed(made), "the last record counts"


def test_items_alike_are_those_of_the_category_then_of_the_brand() -> None:
    made = catalogue(
        CatalogueItem(item_id="i2", category="mugs", brand="a"),
        CatalogueItem(item_id="i4", category=["mugs"], brand="b"),
    )
    assert made.alike(CatalogueItem(item_id="new", category="mugs", brand="b")).tolist() == [2, 4]
    assert made.alike(CatalogueItem(item_id="new", category="other", brand="b")).tolist() == [4]
    assert made.alike(CatalogueItem(item_id="new")).tolist() == []
