"""New products and the model's items that they are like, for the pages of both."""

import numpy as np

from operators.exploration.likes import Likes
from operators.exploration.live_pool import LivePool
from operators.exploration.pool import Pool
from operators.lists.availability import is_offered
from operators.model.model_bundle import ModelBundle
from operators.records.contracts import CatalogueItem

_ANY = 1  # no counts reach this pool: all new products have the same chance


class Arrivals:
    """Products of the catalogue that the model does not know. Their likes come from the bundle's text tower; without one there are
    none."""

    def __init__(self, bundle: ModelBundle) -> None:
        likes = Likes(bundle, lambda _: np.zeros(0, dtype=np.int32), lambda: bundle.popular)
        self._item_ids = bundle.vocabulary.item_ids
        self._pool = LivePool(bundle.vocabulary, likes, _ANY, _ANY, is_offered)
        self._followed: Pool | None = None
        self._like: dict[str, list[str]] = {}

    def changed(self, key: str, item: CatalogueItem | None) -> None:
        """As `operators.lists.catalogue.Catalogue.changed`."""
        self._pool.item_changed(key, item)

    def start(self) -> None:
        """Follows, as `LivePool` does."""
        self._pool.start()

    def close(self) -> None:
        """Stops following."""
        self._pool.close()

    def like(self, item_id: str) -> list[str]:
        """The new products that are like an item of the model, the newest first; of a new product the items that it is like."""
        pool = self._pool.newest()
        if pool is not None and pool is not self._followed:
            like: dict[str, list[str]] = {}
            for newcomer in pool.newcomers:
                known = [self._item_ids[row - 1] for row in newcomer.likes]
                like[newcomer.item_id] = known
                for item in known:
                    like.setdefault(item, []).append(newcomer.item_id)
            self._like, self._followed = like, pool
        return self._like.get(item_id, [])
