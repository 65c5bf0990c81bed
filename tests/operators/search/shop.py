"""A small shop for the tests of search."""

from typing import Any

from operators.records.contracts import CatalogueItem
from operators.search.engine import Found, SearchEngine, SearchRequest

ITEMS = (
    CatalogueItem(item_id="i1", title="Red Lantern", category=["Home", "Light"], brand="Acme", price=12.5),
    CatalogueItem(item_id="i2", title="Blue lantern", category=["Home", "Light"], brand="Bosch", price=3),
    CatalogueItem(item_id="i3", title="Red calculator 4GB", category=["Office"], brand="Acme", price=40),
    CatalogueItem(item_id="i4", title="Women's dog bowl", category=["Pets"], description="also of use as an ashtray"),
    CatalogueItem(item_id="i5", title="Laptop", category=["Office"], brand="Zed", price=900, in_stock=False),
)


def engine_of(*items: CatalogueItem, **options: Any) -> SearchEngine:
    """A search engine with these items, or with `ITEMS`."""
    engine = SearchEngine(**options)
    engine.apply(items or ITEMS)
    return engine


def ids_of(engine: SearchEngine, found: Found) -> list[str]:
    """The found items, best first."""
    return [item.item_id for slot in found.scores if (item := engine.slots.item(slot)) is not None]


def search(engine: SearchEngine, text: str, **options: Any) -> tuple[str, list[str]]:
    """How a query matches, and the items that it finds."""
    found = engine.search(SearchRequest(text, **options))
    return found.matched, ids_of(engine, found)
