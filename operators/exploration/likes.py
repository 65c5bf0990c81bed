"""The items that a new product is like: near its text among the model's items, else those of its category or brand."""

from collections.abc import Callable

import numpy as np

from operators.exploration.pool import LIKES
from operators.model.model_bundle import ModelBundle
from operators.records.contracts import CatalogueItem
from operators.shopper.features import Rows

NEAR = 0.3  # cosine of a text and an item; what is below it is no like


class Likes:
    """Places new products among the items of a bundle. Exact: one product of a vector with all items' vectors."""

    def __init__(
        self, bundle: ModelBundle, alike: Callable[[CatalogueItem], Rows], popular: Callable[[], Rows]
    ) -> None:
        """`alike`: the rows of an item's category or brand; `popular`: rows, those asked for most first."""
        self._texts, self._alike, self._popular = bundle.queries, alike, popular
        self._vectors = bundle.vectors
        squares = np.einsum("nd,nd->n", bundle.vectors, bundle.vectors)
        self._lengths = np.maximum(np.sqrt(squares), 1e-12)  # not a copy of the vectors: a catalogue may have millions

    def of(self, item: CatalogueItem) -> tuple[int, ...]:
        """At most `LIKES` rows, the nearest first; none where nothing is known of the item."""
        return self._near(text_of(item)) or self._of_its_kind(item)

    def _near(self, text: str) -> tuple[int, ...]:
        if self._texts is None or (vector := self._texts.place(text)) is None:
            return ()
        cosines = (self._vectors @ vector) / self._lengths
        cosines[0] = -1.0  # row 0 is no item
        count = min(LIKES, len(cosines))
        nearest = np.argpartition(-cosines, count - 1)[:count]
        nearest = nearest[np.argsort(-cosines[nearest], kind="stable")]
        return tuple(nearest[cosines[nearest] >= NEAR].tolist())

    def _of_its_kind(self, item: CatalogueItem) -> tuple[int, ...]:
        rows = self._alike(item)
        if not len(rows):
            return ()
        popular = self._popular()
        first = popular[np.isin(popular, rows)][:LIKES]
        return tuple([*dict.fromkeys((*first.tolist(), *rows[:LIKES].tolist()))][:LIKES])


def text_of(item: CatalogueItem) -> str:
    """The text that places an item."""
    return f"{item.title} {item.category_path} {item.brand or ''}"
