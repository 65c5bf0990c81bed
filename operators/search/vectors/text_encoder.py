"""The slot for what knows which items belong to a query beyond their words, and the encoder that a bundle has."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from operators.model.model_bundle import ModelBundle
from operators.model.unit_rows import unit_rows
from operators.records.contracts import CatalogueItem

Vector = npt.NDArray[np.float32]


class TextEncoder(Protocol):
    """Places queries and items in one space, where what belongs together is near. Vectors are float32 [dimensions], of
    unit length."""

    name: str
    dimensions: int
    near: float  # the cosine of query and item below which a result looks like a mistake

    def place(self, query: str) -> Vector | None:
        """The vector of a query; None if it has no place."""

    def items(self, items: Sequence[CatalogueItem]) -> list[Vector | None]:
        """The vector of each item; None of one that has no place."""


class BundleEncoder:
    """A `TextEncoder` of what a bundle learned: its items' vectors and its query tower."""

    near = 0.4

    def __init__(self, bundle: ModelBundle) -> None:
        """`bundle` with `queries`."""
        self.name = f"{bundle.manifest.get('name', 'bundle')}'s query tower"
        self._bundle, self._vectors = bundle, unit_rows(bundle.vectors)
        self.dimensions = int(bundle.vectors.shape[1])

    def place(self, query: str) -> Vector | None:
        """As `TextEncoder`."""
        return self._bundle.queries.place(query) if self._bundle.queries else None

    def items(self, items: Sequence[CatalogueItem]) -> list[Vector | None]:
        """As `TextEncoder`; an item that is not the model's has no place."""
        rows = [self._bundle.vocabulary.row(item.item_id) for item in items]
        return [self._vectors[row] if row else None for row in rows]


def bundle_encoder(bundle: ModelBundle | None) -> BundleEncoder | None:
    """The encoder of a bundle; None without a bundle, or where its training learned no queries."""
    return BundleEncoder(bundle) if bundle is not None and bundle.queries is not None else None
