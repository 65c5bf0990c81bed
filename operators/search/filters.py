"""The filters of a search, read from one text: `category:Kitchen > Mugs;brand:Acme|Bosch;price:10..20;in_stock:any`.

Filters are joined by `;`, values of one filter by `|` (any of them). `price` has two ends, one of which may be left out.
Without `in_stock` only items in stock are found; `in_stock:any` finds sold-out items too.
"""

import math
from dataclasses import dataclass

from operators.configuration.nearest_name import nearest
from operators.errors import SearchError
from operators.records.contracts import CatalogueItem

NAMES = ("category", "brand", "price", "in_stock")
MAX_TEXT, MAX_VALUES = 2_000, 50  # characters of all filters; values of one
EXAMPLE = "category:Kitchen;brand:Acme|Bosch;price:10..20;in_stock:any"


@dataclass(frozen=True)
class Filters:
    """What the found items must be. Categories and brands in lower case; a category stands for all below it."""

    categories: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    lowest_price: float | None = None
    highest_price: float | None = None
    sold_out_too: bool = False


def read_filters(text: str) -> Filters:
    """The filters of a text; an empty one has none. Raises `SearchError`."""
    if len(text) > MAX_TEXT:
        raise SearchError(
            f"filters of at most {MAX_TEXT} characters", f"{len(text)} characters", "ask for less at once"
        )
    values: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, colon, value = (piece.strip() for piece in part.partition(":"))
        if name not in NAMES or not colon or not value:
            meant = nearest(name, NAMES)
            next_step = f"is {meant} meant?" if meant and meant != name else f"write them like {EXAMPLE}"
            raise SearchError(f"filters of {', '.join(NAMES)}, each with a value", repr(part[:100]), next_step)
        if name in values:
            raise SearchError(f"the filter {name} once", "it twice", "join its values by |")
        values[name] = value
    lowest, highest = _prices(values["price"]) if "price" in values else (None, None)
    return Filters(
        _texts(values, "category"),
        _texts(values, "brand"),
        lowest,
        highest,
        _sold_out_too(values.get("in_stock", "true")),
    )


def category_key(path: str) -> str:
    """A category path as filters compare it."""
    return " > ".join(level.strip() for level in path.lower().split(">"))


def category_levels(item: CatalogueItem) -> list[str]:
    """The path of an item and of each category above: `Kitchen`, `Kitchen > Mugs`."""
    levels = [level.strip() for level in item.category_path.split(">") if level.strip()]
    return [" > ".join(levels[: depth + 1]) for depth in range(len(levels))]


def fits(item: CatalogueItem, filters: Filters) -> bool:
    """Whether an item fulfils the filters, by the same rule as the index."""
    return (
        (item.in_stock or filters.sold_out_too)
        and (not filters.brands or (item.brand is not None and category_key(item.brand) in filters.brands))
        and (
            not filters.categories or any(category_key(level) in filters.categories for level in category_levels(item))
        )
        and _within(item.price, filters.lowest_price, filters.highest_price)
    )


def _within(price: float | None, lowest: float | None, highest: float | None) -> bool:
    if lowest is None and highest is None:
        return True
    return price is not None and (lowest or 0.0) <= price <= (math.inf if highest is None else highest)


def _texts(values: dict[str, str], name: str) -> tuple[str, ...]:
    texts = tuple(dict.fromkeys(category_key(text) for text in values.get(name, "").split("|") if text.strip()))
    if len(texts) > MAX_VALUES:
        raise SearchError(f"at most {MAX_VALUES} values of {name}", str(len(texts)), "ask for less at once")
    return texts


def _prices(text: str) -> tuple[float | None, float | None]:
    low, dots, high = text.partition("..")
    lowest, highest = _price(low, text), _price(high if dots else low, text)
    if lowest is None and highest is None:
        raise SearchError("a price such as 10..20, 10.. or ..20", repr(text[:100]), "name at least one end")
    if lowest is not None and highest is not None and lowest > highest:
        raise SearchError("the lower price first", f"{text[:100]!r}", f"is price:{highest:g}..{lowest:g} meant?")
    return lowest, highest


def _price(end: str, text: str) -> float | None:
    if not end.strip():
        return None
    try:
        price = float(end)
    except ValueError:
        price = math.nan
    if not 0 <= price < math.inf:
        raise SearchError("a price such as 10..20, 10.. or ..20", repr(text[:100]), "write numbers of 0 or more")
    return price


def _sold_out_too(text: str) -> bool:
    if text not in ("true", "any"):
        raise SearchError("in_stock:true or in_stock:any", repr(text[:100]), "write one of the two")
    return text == "any"
