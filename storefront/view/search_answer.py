"""What a search answers."""

from typing import Any, Literal

import msgspec

Matched = Literal["all", "fuzzy", "any", "text", "popular"]
Span = tuple[int, int]


class FoundItem(msgspec.Struct, kw_only=True):
    """One item that a search found. `score`: 0 to 1, comparable within one answer only. `highlights`: field -> places
    (from, to) of the words that match, counted in characters."""

    item_id: str
    score: float
    title: str
    category: list[str] | str | None = None
    brand: str | None = None
    price: float | None = None
    currency: str | None = None
    in_stock: bool = True
    image_url: str | None = None
    highlights: dict[str, list[Span]] = {}


class SearchAnswer(msgspec.Struct, kw_only=True):
    """The best items of a search.

    `matched` says how they match: `all` words, words near a misspelt one (`fuzzy`), `any` word, the model's `text` vectors,
    or not at all: `popular` items. `total` counts the items that match so, and `facets` their values; items that match less
    well may follow them. `did_you_mean` is the query with its misspelt words replaced, or null. `notes` say what was left
    out or found no item.
    """

    query: str
    matched: Matched
    total: int
    did_you_mean: str | None
    items: list[FoundItem]
    facets: dict[str, list[dict[str, Any]]]
    notes: list[str] = []


class Suggestion(msgspec.Struct, kw_only=True):
    """A query that may be meant, and how many items have its last word."""

    text: str
    items: int


class Suggestions(msgspec.Struct, kw_only=True):
    """How a query may go on, and items that it already names."""

    query: str
    suggestions: list[Suggestion]
    items: list[FoundItem]
