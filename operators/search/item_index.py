"""The items as an inverted index in memory (tantivy): BM25 over weighted fields, filters and facets.

The field `text` holds all that an item says, its title twice: BM25 of one joined field ranks better than the sum over
fields, because a word counts once (Robertson, Zaragoza and Taylor, CIKM 2004). `title` and `category` add to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tantivy import Document, FieldType, Index, Occur, Query, Schema, SchemaBuilder

from operators.configuration.nearest_name import nearest
from operators.records.contracts import CatalogueItem
from operators.search.analysis import ANALYZER, normalised, text_analyzer
from operators.search.filters import Filters, category_key, category_levels

HEAP = 32_000_000  # bytes of new items in memory before a segment is written
DESCRIBED = 600  # characters of a description that are indexed; more of it drowns the title
FACET_VALUES = 20
COMPARED = 1_000  # values among which the one is looked for that a misspelt filter means
PRICE_BOUNDS = (5, 10, 20, 50, 100, 200, 500, 1000)
FIELDS = ("text", "title", "category")


@dataclass(frozen=True)
class FieldWeights:
    """How much a match in each field counts."""

    text: float = 1.0
    title: float = 0.2
    category: float = 0.3


def _schema() -> Schema:
    builder = SchemaBuilder().add_integer_field("slot", indexed=True, fast=True)
    for field in FIELDS:
        builder = builder.add_text_field(field, tokenizer_name=ANALYZER, index_option="freq")
    for field in ("brand_key", "category_key"):
        builder = builder.add_text_field(field, tokenizer_name="raw", index_option="basic")
    for field in ("brand_facet", "category_facet"):
        builder = builder.add_text_field(field, fast=True, tokenizer_name="raw", index_option="basic")
    builder = builder.add_float_field("price", indexed=True, fast=True)
    return builder.add_boolean_field("in_stock", indexed=True, fast=True).build()


class ItemIndex:
    """Documents by slot, a small integer that the caller gives to an item. One thread writes; any thread reads."""

    def __init__(self) -> None:
        self._schema = _schema()
        self._index = Index(self._schema)
        self._index.register_tokenizer(ANALYZER, text_analyzer())
        self._writer = self._index.writer(HEAP, 1)
        self._searcher = self._index.searcher()

    def put(self, slot: int, item: CatalogueItem) -> None:
        """Adds or replaces the item of a slot. `commit` makes it findable."""
        self.remove(slot)
        self._writer.add_document(_document(slot, item))

    def remove(self, slot: int) -> None:
        """Takes out the item of a slot, if it has one."""
        self._writer.delete_documents_by_term("slot", slot)

    def commit(self) -> None:
        """Makes all changes since the last call findable."""
        self._writer.commit()
        self._index.reload()
        self._searcher = self._index.searcher()

    def knows(self, stem: str) -> bool:
        """Whether any item has the term."""
        return bool(self._searcher.doc_freq("text", stem))

    def term(self, stem: str, weights: FieldWeights) -> Query:
        """Items with the term, by BM25 of the weighted fields."""
        return any_of(
            [
                Query.boost_query(Query.term_query(self._schema, field, stem, "freq"), weight)
                for field in FIELDS
                if (weight := getattr(weights, field)) > 0
            ]
        )

    def filtered(self, query: Query, filters: Filters) -> Query:
        """The query within the filters, which do not change its scores."""
        clauses = [(Occur.Must, Query.const_score_query(clause, 0.0)) for clause in self._filter_clauses(filters)]
        return Query.boolean_query([(Occur.Must, query), *clauses]) if clauses else query

    def _filter_clauses(self, filters: Filters) -> list[Query]:
        clauses = []
        for field, values in (("category_key", filters.categories), ("brand_key", filters.brands)):
            if values:
                clauses.append(Query.term_set_query(self._schema, field, [*values]))
        if filters.lowest_price is not None or filters.highest_price is not None:
            low, high = filters.lowest_price or 0.0, 1e300 if filters.highest_price is None else filters.highest_price
            clauses.append(Query.range_query(self._schema, "price", FieldType.Float, low, high))
        if not filters.sold_out_too:
            clauses.append(Query.term_query(self._schema, "in_stock", True))
        return clauses

    def search(self, query: Query, limit: int) -> list[tuple[int, float]]:
        """Slot and score of the best items, the best first."""
        searcher = self._searcher
        hits = searcher.search(query, limit, count=False).hits
        slots = searcher.fast_field_values("slot", [address for _, address in hits])
        return [(int(slot), float(score)) for slot, (score, _) in zip(slots, hits, strict=True) if slot is not None]

    def unknown_values(self, filters: Filters) -> list[str]:
        """A sentence for each category and brand of the filters that no item has."""
        notes = []
        for name, values in (("category", filters.categories), ("brand", filters.brands)):
            for value in values:
                if not self._searcher.doc_freq(f"{name}_key", value):
                    meant = nearest(value, self._most_frequent(name))
                    notes.append(f"no item has the {name} {value!r}" + (f"; is {meant!r} meant?" if meant else ""))
        return notes

    def _most_frequent(self, name: str) -> list[str]:
        terms = {"terms": {"field": f"{name}_facet", "size": COMPARED}}
        answer = self._searcher.aggregate(Query.all_query(), {name: terms})
        return [str(bucket["key"]) for bucket in answer[name]["buckets"]]

    def count(self, query: Query) -> int:
        """How many items match."""
        result: Any = self._searcher.search(query, 1, count=True)  # its stub lacks the count
        return int(result.count or 0)

    def facets(self, query: Query) -> Mapping[str, list[dict[str, object]]]:
        """Values of the matching items with their counts, the most frequent first: `category` (each level of a path
        counts), `brand`, `price` (ranges, `to` exclusive) and `in_stock`."""
        answer = self._searcher.aggregate(query, _AGGREGATION)
        return {
            "category": _values(answer["category"]),
            "brand": _values(answer["brand"]),
            "price": [
                {"from": bucket.get("from"), "to": bucket.get("to"), "count": bucket["doc_count"]}
                for bucket in answer["price"]["buckets"]
                if bucket["doc_count"]
            ],
            "in_stock": [
                {"value": bool(bucket["key"]), "count": bucket["doc_count"]} for bucket in answer["in_stock"]["buckets"]
            ],
        }

    def __len__(self) -> int:
        return int(self._searcher.num_docs)


_AGGREGATION = {
    "category": {"terms": {"field": "category_facet", "size": FACET_VALUES}},
    "brand": {"terms": {"field": "brand_facet", "size": FACET_VALUES}},
    "price": {
        "range": {
            "field": "price",
            "ranges": [
                {"to": PRICE_BOUNDS[0]},
                *({"from": low, "to": high} for low, high in pairwise(PRICE_BOUNDS)),
                {"from": PRICE_BOUNDS[-1]},
            ],
        }
    },
    "in_stock": {"terms": {"field": "in_stock"}},
}


def any_of(queries: Sequence[Query]) -> Query:
    """Items that match one or more; the scores add up."""
    return queries[0] if len(queries) == 1 else Query.boolean_query([(Occur.Should, query) for query in queries])


def all_of(queries: Sequence[Query]) -> Query:
    """Items that match each; the scores add up."""
    return queries[0] if len(queries) == 1 else Query.boolean_query([(Occur.Must, query) for query in queries])


def best_of(queries: Sequence[Query]) -> Query:
    """Items that match one or more; the best score counts."""
    return queries[0] if len(queries) == 1 else Query.disjunction_max_query([*queries])


def text_of(item: CatalogueItem) -> str:
    """All that the item says, the title twice."""
    described = (item.description or "")[:DESCRIBED]
    parts = (item.title, item.title, item.brand or "", item.category_path, " ".join(item.tags or ()), described)
    return " . ".join(part for part in parts if part)


def _document(slot: int, item: CatalogueItem) -> Document:
    levels = category_levels(item)
    document = Document(
        text=normalised(text_of(item)), title=normalised(item.title), category=normalised(item.category_path)
    )
    document.add_integer("slot", slot)
    document.add_boolean("in_stock", item.in_stock)
    for level in levels:
        document.add_text("category_key", category_key(level))
        document.add_text("category_facet", level)
    if item.brand:
        document.add_text("brand_key", category_key(item.brand))
        document.add_text("brand_facet", item.brand)
    if item.price is not None:
        document.add_float("price", item.price)
    return document


def _values(answer: Mapping[str, list[Mapping[str, object]]]) -> list[dict[str, object]]:
    return [{"value": bucket["key"], "count": bucket["doc_count"]} for bucket in answer["buckets"]]
