"""Search: items whose title holds all words of the query, then items near the query's embedding."""

from itertools import islice

import numpy as np

from operators.model.model_bundle import ModelBundle
from operators.model.unit_rows import unit_rows
from operators.records.contracts import CatalogueItem
from storefront.view.views import CatalogueView

NEAR = 0.4  # cosine of query and item; below it a result looks like a mistake


class Search:
    """Searches the catalogue, and uses the bundle's query tower where it has one. Thread-safe: it only reads."""

    def __init__(self, shelf: CatalogueView, bundle: ModelBundle | None) -> None:
        self._shelf, self._bundle = shelf, bundle
        self._queries = bundle.queries if bundle else None
        self._vectors = unit_rows(bundle.vectors) if bundle and self._queries else None

    def find(self, text: str, limit: int) -> list[CatalogueItem]:
        """At most `limit` items that may be listed now: matches by title first, in title order, then the nearest ones."""
        titled = self._shelf.search(text, limit)
        return titled + self._nearest(text, limit - len(titled), {item.item_id for item in titled})

    def _nearest(self, text: str, count: int, have: set[str]) -> list[CatalogueItem]:
        if count <= 0 or self._bundle is None or self._queries is None or self._vectors is None:
            return []
        if (query_vector := self._queries.place(text)) is None:
            return []
        cosines = self._vectors @ query_vector
        candidates = np.flatnonzero(cosines > NEAR)
        rows = candidates[np.argsort(-cosines[candidates], kind="stable")]
        ids = (self._bundle.vocabulary.item_ids[row - 1] for row in rows.tolist() if row)
        items = (self._shelf.get(item) for item in ids if item not in have and self._shelf.may_be_listed(item))
        return [*islice((item for item in items if item is not None), count)]
