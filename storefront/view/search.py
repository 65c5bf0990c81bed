"""Search as the storefront answers it: the engine's ranking, what may be listed now, the shopper's taste, a page of it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from operators.records.contracts import CatalogueItem
from operators.search.analysis import folded, normalised, words_of
from operators.search.diversity import diversified
from operators.search.engine import DEPTH, Found, SearchEngine, SearchRequest
from operators.search.filters import Filters
from operators.search.understanding import MAX_QUERY
from storefront.view.search_answer import FoundItem, SearchAnswer, Span, Suggestion, Suggestions

Sort = Literal["relevance", "price", "-price", "title"]
MAX_OFFSET = 800  # a page further down is asked for by a filter
SUGGESTED_ITEMS = 5
_word = re.compile(r"[^\W_]+(?:['’`][^\W_]+)*")


@dataclass(frozen=True)
class Page:
    """Which part of the answer, and in which order."""

    offset: int = 0
    limit: int = 24
    sort: Sort = "relevance"
    diversity: float = 0.0


class Search:
    """Answers searches. Thread-safe: it only reads."""

    def __init__(
        self,
        engine: SearchEngine,
        may_be_listed: Callable[[str], bool],
        popular: Callable[[], Sequence[str]],
        liked: Callable[[str], Sequence[str]],
    ) -> None:
        """`popular`: item ids, best first. `liked`: the items of a shopper's list; empty for a stranger."""
        self._engine, self._may_be_listed = engine, may_be_listed
        self._popular, self._liked = popular, liked

    def find(self, text: str, filters: Filters, page: Page, user: str | None = None) -> SearchAnswer:
        """A page of the items that a query finds."""
        request = SearchRequest(
            text,
            filters,
            depth=max(DEPTH, page.offset + page.limit),
            liked=self._liked(user) if user else (),
            popular=self._popular(),
            listed=self._may_be_listed,
        )
        found = self._engine.search(request)
        items = {slot: item for slot in found.scores if (item := self._engine.slots.item(slot)) is not None}
        order = _sorted({slot: found.scores[slot] for slot in items}, items, page)
        shown = order[page.offset : page.offset + page.limit]
        stems = found.understood.stems
        return SearchAnswer(
            query=text[:MAX_QUERY],
            matched=found.matched,
            total=len(order) if found.query is None else self._engine.index.count(found.query),
            did_you_mean=found.understood.corrected,
            items=[self._found_item(items[slot], found.scores[slot], stems) for slot in shown],
            facets={} if found.query is None else dict(self._engine.index.facets(found.query)),
            notes=self._notes(text, filters, found),
        )

    def suggest(self, text: str, limit: int) -> Suggestions:
        """How a query that is being typed may go on, and the first items that it names."""
        typed = words_of(text[:MAX_QUERY])
        if not typed:
            return Suggestions(query=text[:MAX_QUERY], suggestions=[], items=[])
        vocabulary, before = self._engine.vocabulary, typed[:-1]
        last = [typed[-1]] if vocabulary.count(typed[-1]) else []
        last += vocabulary.completions(typed[-1], limit)
        if not last:
            last = [other.word for other in vocabulary.near(typed[-1], limit)]
        suggestions = [Suggestion(text=" ".join((*before, word)), items=vocabulary.count(word)) for word in last]
        found = self._engine.search(SearchRequest(text, depth=SUGGESTED_ITEMS, listed=self._may_be_listed))
        best = [(slot, found.scores[slot]) for slot in [*found.scores][:SUGGESTED_ITEMS]]
        return Suggestions(
            query=text[:MAX_QUERY],
            suggestions=suggestions[:limit],
            items=[
                self._found_item(item, score, found.understood.stems)
                for slot, score in best
                if (item := self._engine.slots.item(slot)) is not None
            ],
        )

    def _found_item(self, item: CatalogueItem, score: float, stems: set[str]) -> FoundItem:
        marked = self._highlights(item.title, stems)
        return FoundItem(
            item_id=item.item_id,
            score=round(score, 6),
            title=item.title,
            category=item.category,
            brand=item.brand,
            price=item.price,
            currency=item.currency,
            in_stock=item.in_stock,
            image_url=item.image_url,
            highlights={"title": marked} if marked else {},
        )

    def _highlights(self, title: str, stems: set[str]) -> list[Span]:
        stem = self._engine.understanding.stem
        return [
            match.span() for match in _word.finditer(title) if any(stem(word) in stems for word in words_of(match[0]))
        ]

    def _notes(self, text: str, filters: Filters, found: Found) -> list[str]:
        notes = [*found.understood.notes, *self._engine.index.unknown_values(filters)]
        if text.strip() and not found.understood.terms:
            notes.append("the query has no word that can be looked for: these are popular items")
        elif found.matched == "popular":
            notes.append("no item matches the query: these are popular items")
        return notes


def _sorted(scores: dict[int, float], items: dict[int, CatalogueItem], page: Page) -> list[int]:
    if page.sort == "relevance":
        return diversified(scores, items, page.diversity) if page.diversity else [*scores]
    if page.sort == "title":
        return sorted(scores, key=lambda slot: (folded(normalised(items[slot].title)), items[slot].item_id))
    sign = -1 if page.sort == "-price" else 1
    # items without a price go last, whatever the direction
    return sorted(scores, key=lambda slot: (items[slot].price is None, sign * (items[slot].price or 0.0)))
