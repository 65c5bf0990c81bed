"""Which items a candidate has: the champion's, without those that left, and new ones, each with a first vector."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model_export.data.dataset import Wishes
from model_export.follow.offers import Offers
from operators.configuration.shop_settings import EventSettings
from operators.model.model_bundle import ModelBundle
from operators.model.query_tower import QueryTower
from operators.model.unit_rows import unit_rows
from operators.records.contracts import Event
from operators.shopper.features import Vocabulary

LEAST_WISHES = 3  # events of an item without a title that the query tower knows, before it joins
CATEGORY_WISHES = 3.0  # for how many neighbours in events the mean of an item's category counts
RARE = 0.1  # a new item has the bias that this share of the items is below
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Assortment:
    """`rows` int64 [N + 1]: the champion's row of each row, 0 of the padding and of new items, which are the last ones.
    `vectors` float32 [M, d] of unit length: of the new items."""

    words: Vocabulary
    rows: npt.NDArray[np.int64]
    vectors: Vectors
    new: list[str]
    left: list[str]

    def renumbered(self, champion_rows: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """The champion's rows in this numbering, 0 for items that left."""
        own = np.zeros(int(self.rows.max(initial=0)) + len(self.left) + 1, dtype=np.int32)
        own[self.rows] = np.arange(len(self.rows))
        own[0] = 0
        return own[champion_rows]


def assortment(
    champion: ModelBundle, events: Sequence[Event], offers: Offers, now_ms: int, limits: EventSettings
) -> Assortment:
    """An item leaves if the catalogue says so and no event wants it. An item joins if the query tower can place its title,
    else if events want it often enough, at the mean of the items around it in those events and of its category."""
    known, vectors = champion.vocabulary, unit_rows(champion.vectors)
    wanted, around = _wanted_and_around(events, known, vectors, limits)
    left = [item for item in known.item_ids if item not in wanted and offers.has_left(item, now_ms)]
    new = {
        item: place
        for item, title in offers.titles(now_ms)
        if not known.row(item) and (place := _placed(champion, title)) is not None
    }
    categories = _category_means(known, vectors, offers)
    for item, vector in around.items():
        if item not in new and wanted[item] >= LEAST_WISHES and not offers.has_left(item, now_ms):
            new[item] = vector + CATEGORY_WISHES * categories.get(offers.category(item), np.float32(0))
    gone = set(left)
    stay = [row for row, item in enumerate(known.item_ids, start=1) if item not in gone]
    words = Vocabulary([*(known.item_ids[row - 1] for row in stay), *new])
    rows = np.concatenate(([0], stay, np.zeros(len(new)))).astype(np.int64)
    placed = np.stack([*new.values()]) if new else np.zeros((0, vectors.shape[1]))
    return Assortment(words, rows, unit_rows(placed.astype(np.float32)), [*new], left)


def _placed(champion: ModelBundle, title: str) -> Vectors | None:
    queries: QueryTower | None = champion.queries
    return None if queries is None else queries.place(title)


def _category_means(known: Vocabulary, vectors: Vectors, offers: Offers) -> dict[str, Vectors]:
    """Category -> the mean of its known items, float32 [d] of unit length."""
    sums = dict[str, Vectors]()
    for row, item in enumerate(known.item_ids, start=1):
        if category := offers.category(item):
            sums[category] = sums.get(category, np.float32(0)) + vectors[row]
    return {category: unit_rows(total[None])[0] for category, total in sums.items()}


def _wanted_and_around(
    events: Sequence[Event], known: Vocabulary, vectors: Vectors, limits: EventSettings
) -> tuple[Counter[str], dict[str, Vectors]]:
    """How often each item was wanted, and for each unknown one the sum of the vectors of the known items that the same
    shoppers wanted just before or after it."""
    wishes, wanted, around = Wishes(limits.rating_middle), Counter[str](), dict[str, Vectors]()
    newest: dict[str, tuple[str, int]] = {}
    for event in events:
        for item in wishes.of(event):
            wanted[item] += 1
            before, before_ms = newest.get(event.user_id, ("", 0))
            newest[event.user_id] = item, int(event.event_time)
            if not before or int(event.event_time) - before_ms > limits.session_gap_ms:
                continue
            for one, other in ((item, before), (before, item)):
                if not known.row(one) and (row := known.row(other)):
                    around[one] = around.get(one, np.float32(0)) + vectors[row]
    return wanted, around
