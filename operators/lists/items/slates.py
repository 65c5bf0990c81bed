"""Ranked items -> slates: their JSON, and what the feedback join needs of them."""

from collections.abc import Iterator
from itertools import repeat

import numpy as np
import numpy.typing as npt

from operators.lists.encoded_list import Slate
from operators.lists.exploring.explored import Explored
from operators.lists.items.items_json import ItemsJson
from operators.lists.reasons import PlaceReasons
from operators.model.click_head import packed
from operators.records.contracts import Source
from operators.shopper.features import Rows


class Slates:
    """Encodes with one bundle's items."""

    def __init__(self, items: ItemsJson, item_hashes: npt.NDArray[np.uint32] | None) -> None:
        """`item_hashes`: uint32 [N + 1], little-endian; None where nobody needs the facts of a list."""
        self._items, self._item_hashes = items, item_hashes

    def encode(
        self,
        source: Source,
        rows: Rows,
        scores: npt.NDArray[np.float64],
        reasons: PlaceReasons,
        explored: Explored | None,
        clicks: Rows | None = None,
    ) -> list[Slate]:
        """Lists of one length, all arrays [B, places]; the rest as `ItemsJson.encode`."""
        parts = (
            self._items.encode(rows, scores, reasons, explored, clicks),
            self._hashes_of(rows, explored),
            self._propensities_of(rows, explored),
            self._clicks_of(clicks),
        )
        return [Slate(source, *of_list) for of_list in zip(*parts, strict=False)]

    def _hashes_of(self, rows: Rows, explored: Explored | None) -> Iterator[bytes | None]:
        """The hashes of the items of each list, as in `ListFacts`; None for ever where nobody needs them."""
        if self._item_hashes is None:
            return repeat(None)
        hashes = self._item_hashes[rows]
        if explored is not None:
            new = slice(explored.names_from, None)
            hashes[explored.drawn.lists[new], explored.at[new]] = explored.drawn.lows[new]
        return (of_list.tobytes() for of_list in hashes)

    def _propensities_of(self, rows: Rows, explored: Explored | None) -> Iterator[bytes]:
        """The propensities of each list, as in `ListFacts`; empty for ever where nobody needs them."""
        if explored is None or self._item_hashes is None:
            return repeat(b"")
        return (of_list.tobytes() for of_list in explored.propensities(rows.shape[1]))

    def _clicks_of(self, clicks: Rows | None) -> Iterator[bytes | None]:
        """The click probabilities of each list, as in `ListFacts`; None for ever where there are none or nobody needs them."""
        if self._item_hashes is None or clicks is None:
            return repeat(None)
        return map(packed, clicks)
