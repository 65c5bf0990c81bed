import numpy as np

from operators.catalogue import Catalogue
from operators.contracts import CatalogueItem, encode_record
from operators.features import Vocabulary
from tests.builders import NOW_MS

WORDS = Vocabulary([f"i{n}" for n in range(1, 11)])


def catalogue(*items: CatalogueItem) -> Catalogue:
    made = Catalogue(WORDS, 0.5)
    for item in items:
        made.changed(item.item_id, encode_record(item))
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
    made.changed("i3", encode_record(CatalogueItem(item_id="i3")))
    assert 3 in allowed(made)


def test_stock_and_unusable_records() -> None:
    made = catalogue(CatalogueItem(item_id="i1", in_stock=False))
    made.changed("i2", b"not json")
    made.changed("unknown", encode_record(CatalogueItem(item_id="unknown")))
    assert allowed(made) == list(range(3, 11))


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
    one, two, three, four, none = made.categories[1:6].tolist()
    assert one == three
    assert len({one, two, four, none}) == 4
    assert none == 0


def test_times_that_no_array_takes_are_unusable_and_stop_nobodys_list() -> None:
    """An `OverflowError` here was one of each micro-batch, and of each fallback: a restart of the job."""
    made = catalogue()
    for item, time in (("i1", 2**63), ("i2", -(2**63) - 1), ("i3", 2**64), ("i4", 10**400), ("i5", 2**63 - 1)):
        for name in ("available_from", "available_until"):
            value = time if name == "available_until" or time != 2**63 - 1 else -time
            made.changed(item, b'{"item_id":"%s","%s":%d}' % (item.encode(), name.encode(), value))
    assert allowed(made) == [5, 6, 7, 8, 9, 10]
