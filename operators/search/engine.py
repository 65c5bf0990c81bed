"""The search engine: items in, rankings out. Words (BM25, spelling, synonyms), text vectors and the shopper's taste are
rankings of their own; their fusion is the answer."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from tantivy import Query

from operators.records.contracts import CatalogueItem
from operators.search.analysis import words_of
from operators.search.filters import Filters, fits
from operators.search.fusion import reciprocal_ranks
from operators.search.item_index import FieldWeights, ItemIndex, all_of, any_of, best_of, text_of
from operators.search.item_slots import ItemSlots
from operators.search.synonyms import Synonyms
from operators.search.understanding import Alternative, Term, Understanding, Understood
from operators.search.vectors.item_vectors import ItemVectors
from operators.search.vectors.text_encoder import TextEncoder
from operators.search.vocabulary import Vocabulary

DEPTH = 300  # places of each ranking that are fused
EXACT = 100_000  # items up to which every item's vector is compared; above, those that words found, and all if words found none
PLACED = 256  # items that get their vectors at once
NO_FILTERS = Filters()
NO_STOCK = 0.5  # what the score of a sold-out item is multiplied by
Matched = Literal["all", "fuzzy", "any", "text", "popular"]


@dataclass(frozen=True)
class RankWeights:
    """How much each ranking counts in the fusion. docs/search.md says how they were fitted."""

    words: float = 1.0
    text: float = 0.4
    shopper: float = 0.15
    popular: float = 0.05


@dataclass(frozen=True)
class SearchRequest:
    """What is looked for. `liked`: items of the shopper's list. `popular`: item ids, best first. `listed`: whether an item may be
    shown now."""

    text: str
    filters: Filters = NO_FILTERS
    depth: int = DEPTH
    liked: Sequence[str] = ()
    popular: Sequence[str] = ()
    listed: Callable[[str], bool] = lambda item_id: True
    spelling: bool = True


@dataclass(frozen=True)
class Found:
    """`scores`: slot -> score, best first. `matched`: which step found something; `query`: all items that this step matches."""

    understood: Understood
    matched: Matched
    scores: dict[int, float]
    query: Query | None = None
    rankings: dict[str, list[int]] = field(default_factory=dict)


class SearchEngine:
    """One thread calls `apply` and `place`; any thread searches."""

    def __init__(
        self,
        encoder: TextEncoder | None = None,
        synonyms: Synonyms | None = None,
        fields: FieldWeights | None = None,
        weights: RankWeights | None = None,
    ) -> None:
        self.slots, self.index, self.vocabulary = ItemSlots(), ItemIndex(), Vocabulary()
        self.encoder = encoder
        self._vectors = ItemVectors(encoder.dimensions) if encoder else None
        self._fields, self._weights = fields or FieldWeights(), weights or RankWeights()
        self.understanding = Understanding(self.vocabulary, synonyms or Synonyms(), self.index.knows)
        self._unplaced: dict[int, CatalogueItem | None] = {}  # None: the slot is free, and its vector goes

    def apply(self, changed: Sequence[CatalogueItem], removed: Iterable[str] = (), *, place: bool = True) -> None:
        """Adds or replaces items, takes out others, and makes all of it findable by words; with `place` also by vectors."""
        for item_id in removed:
            if (gone := self.slots.remove(item_id)) is not None:
                slot, old = gone
                self.index.remove(slot)
                self.vocabulary.remove(words_of(text_of(old)))
                self._unplaced[slot] = None
        for item in changed:
            slot, replaced = self.slots.put(item)
            if replaced is not None:
                self.vocabulary.remove(words_of(text_of(replaced)))
            self.index.put(slot, item)
            self.vocabulary.add(words_of(text_of(item)))
            self._unplaced[slot] = item
        self.index.commit()
        self.vocabulary.refresh()
        while place and self.place():
            pass

    def place(self, count: int = PLACED) -> int:
        """Gives items that `apply` brought their vectors, at most `count`; returns how many. An encoder may need
        milliseconds for each."""
        slots = [*islice(self._unplaced, count)]
        items = {slot: self._unplaced.pop(slot) for slot in slots}
        if self.encoder is not None and self._vectors is not None:
            held = {slot: item for slot, item in items.items() if item is not None}
            vectors = dict(zip(held, self.encoder.items([*held.values()]), strict=True))
            for slot in slots:
                self._vectors.put(slot, vectors.get(slot))
        return len(slots)

    def search(self, request: SearchRequest) -> Found:
        """The best items. Where no item matches all words, any of them, or words near them, the text vectors find
        items; without those the popular ones."""
        understood = self.understanding.read(request.text, spelling=request.spelling)
        if not understood.terms:
            return self._browse(request, understood)
        matched, query = self._matched(understood, request.filters)
        words = self._words_ranking(understood, request) if query is not None else []
        text = self._text_ranking(understood.wanted, request, words)
        if not words and not text:
            return self._popular(request, understood)
        rankings = {"words": words, "text": text}
        rankings["shopper"] = self._shopper_ranking(request, [*dict.fromkeys((*words, *text))])
        rankings["popular"] = self._in_order(request.popular, {*words, *text})
        scores = reciprocal_ranks(rankings, vars(self._weights))
        return Found(understood, matched if words else "text", self._stocked(scores), query, rankings)

    def _matched(self, understood: Understood, filters: Filters) -> tuple[Matched, Query | None]:
        terms = [self._term_query(term) for term in understood.terms]
        everywhere = self.index.filtered(all_of(terms), filters)
        if self.index.count(everywhere):
            return ("fuzzy" if understood.corrected else "all"), everywhere
        anywhere = self.index.filtered(any_of(terms), filters)
        return ("any", anywhere) if self.index.count(anywhere) else ("text", None)

    def _term_query(self, term: Term) -> Query:
        return best_of([self._alternative_query(other) for other in term.alternatives])

    def _alternative_query(self, other: Alternative) -> Query:
        query = all_of([self.index.term(stem, self._fields) for stem in other.stems])
        return query if other.weight == 1 else Query.boost_query(query, other.weight)

    def _words_ranking(self, understood: Understood, request: SearchRequest) -> list[int]:
        query = any_of([self._term_query(term) for term in understood.terms])
        hits = self.index.search(self.index.filtered(query, request.filters), request.depth)
        return [slot for slot, _ in hits if self._shown(slot, request)]

    def _text_ranking(self, text: str, request: SearchRequest, words: list[int]) -> list[int]:
        if self.encoder is None or self._vectors is None:
            return []
        if (vector := self.encoder.place(text)) is None:
            return []
        if words and len(self.slots) > EXACT:
            cosines = self._vectors.cosines(vector, words)
            near = sorted(zip(words, cosines.tolist(), strict=True), key=lambda entry: -entry[1])
            return [slot for slot, cosine in near if cosine > self.encoder.near]
        nearest = self._vectors.nearest(vector, self.encoder.near, 4 * request.depth)
        return [slot for slot, _ in nearest if self._fits(slot, request)][: request.depth]

    def _shopper_ranking(self, request: SearchRequest, candidates: list[int]) -> list[int]:
        """The candidates nearest to the middle of the items that the shopper likes."""
        liked = [slot for item_id in request.liked if (slot := self.slots.slot(item_id)) is not None]
        if not liked or self._vectors is None or (taste := self._vectors.mean(liked)) is None:
            return []
        cosines = self._vectors.cosines(taste, candidates).tolist()
        near = sorted(zip(candidates, cosines, strict=True), key=lambda entry: -entry[1])
        return [slot for slot, cosine in near if cosine > 0]

    def _browse(self, request: SearchRequest, understood: Understood) -> Found:
        """No word to look for: all items, popular ones first."""
        popular = self._popular(request, understood)
        query = self.index.filtered(Query.all_query(), request.filters)
        if request.text.strip():
            return popular
        rest = [slot for slot, _ in self.index.search(query, request.depth) if self._shown(slot, request)]
        order = [*dict.fromkeys((*popular.scores, *rest))][: request.depth]
        return Found(understood, "all", {slot: 1.0 / place for place, slot in enumerate(order, start=1)}, query)

    def _popular(self, request: SearchRequest, understood: Understood) -> Found:
        slots = [slot for item_id in request.popular if (slot := self.slots.slot(item_id)) is not None]
        fitting = [slot for slot in slots if self._fits(slot, request)][: request.depth]
        return Found(understood, "popular", {slot: 1.0 / place for place, slot in enumerate(fitting, start=1)})

    def _in_order(self, item_ids: Sequence[str], candidates: set[int]) -> list[int]:
        slots = (self.slots.slot(item_id) for item_id in item_ids)
        return [slot for slot in slots if slot is not None and slot in candidates]

    def _fits(self, slot: int, request: SearchRequest) -> bool:
        item = self.slots.item(slot)
        return item is not None and fits(item, request.filters) and self._shown(slot, request)

    def _shown(self, slot: int, request: SearchRequest) -> bool:
        item = self.slots.item(slot)
        return item is not None and (not item.in_stock or request.listed(item.item_id))

    def _stocked(self, scores: dict[int, float]) -> dict[int, float]:
        weighted = {slot: score * self._stock(slot) for slot, score in scores.items()}
        return dict(sorted(weighted.items(), key=lambda entry: -entry[1]))

    def _stock(self, slot: int) -> float:
        item = self.slots.item(slot)
        return 1.0 if item is None or item.in_stock else NO_STOCK
