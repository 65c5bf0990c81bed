import json

from operators.contracts import CatalogueItem, encode_record
from storefront.views import Shelf, is_newer


def made(version: int) -> bytes:
    return json.dumps({"version": version, "items": []}).encode()


def test_an_older_version_never_replaces_a_newer_one() -> None:
    assert is_newer(None, made(1))
    assert is_newer(made(1), made(2))
    assert is_newer(made(2), made(2)), "the model's list replaces the fallback of the same version"
    assert not is_newer(made(2), made(1))


def test_a_tombstone_counts_and_rubbish_does_not() -> None:
    assert is_newer(made(9), None)
    assert not is_newer(made(1), b"rubbish")
    assert not is_newer(None, b"{}")


def test_the_shelf_searches_titles_by_all_words_and_shows_stock_only() -> None:
    shelf = Shelf()
    for number, title in enumerate(("Red Lantern", "Blue lantern", "Red mug")):
        shelf.changed(f"i{number}", encode_record(CatalogueItem(item_id=f"i{number}", title=title)))
    assert [item.title for item in shelf.search("lantern red", 5)] == ["Red Lantern"]
    shelf.changed("i0", encode_record(CatalogueItem(item_id="i0", title="Red Lantern", in_stock=False)))
    assert shelf.search("red lantern", 5) == []
    assert (shelf.sold("i0"), shelf.sold("i1"), shelf.sold("other")) == (False, True, False)


def test_without_a_catalogue_everything_is_sold() -> None:
    assert Shelf().sold("anything")
