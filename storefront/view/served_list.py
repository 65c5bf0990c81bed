"""The list that the storefront serves: the user's list without items that may no longer be listed, or the popular list."""

from collections.abc import Callable, Iterator
from itertools import islice

import msgspec

from operators.demand.live_orders import HeadItem
from operators.model.model_bundle import ModelBundle
from operators.records.contracts import ListItem, Model, Reason, RecommendationList
from storefront.view.views import CatalogueView, Views, now_ms

POPULAR = 1_000  # places of the popular order that search looks at
_POPULAR, _TRENDING = Reason("popular"), Reason("trending")


class ServedItem(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One item of a served list, with the catalogue fields that a page shows."""

    item_id: str
    score: float
    rank: int
    reason: Reason
    p_click: float | None = None
    reason_title: str | None = None
    title: str | None = None
    price: float | None = None
    currency: str | None = None
    image_url: str | None = None


class ServedList(msgspec.Struct, kw_only=True):
    """`known`: the user has a list that has not expired; otherwise this is the popular list, which never expires.

    `expired`: the user has a list, but its `expires_at` has passed. Times are epoch ms.
    """

    user_id: str
    known: bool
    expired: bool
    recommendation_id: str
    epoch: int
    version: int
    source: str
    model: Model
    event_time: int
    event_id: str | None
    generated_at: int
    expires_at: int | None
    served_at: int
    items: list[ServedItem]


class ListServer:
    """Joins lists with the catalogue."""

    def __init__(self, views: Views, bundle: ModelBundle | None, clock_ms: Callable[[], int] = now_ms) -> None:
        self._views = views
        self._clock_ms = clock_ms
        items = bundle.vocabulary.item_ids if bundle else []
        self._by_model = [items[row - 1] for row in (bundle.popular.tolist() if bundle else [])]
        self._head: tuple[HeadItem, ...] | None = None
        self._first: dict[str, Reason] = {}
        self._model = Model(bundle.name, bundle.version) if bundle else Model("none", "0")

    def list_of(self, user_id: str, limit: int) -> ServedList:
        """The user's list, or the popular one where the user has none or it has expired."""
        slate, now, shelf = self._views.list_of(user_id), self._clock_ms(), self._views.shelf
        has_list = slate is not None and now < slate.expires_at
        expired = slate is not None and not has_list
        if slate is None or expired:
            slate = self._popular_list(user_id, limit, now)
        list_items = [list_item for list_item in slate.items if shelf.may_be_listed(list_item.item_id)][:limit]
        return ServedList(
            user_id=user_id,
            known=has_list,
            expired=expired,
            recommendation_id=slate.recommendation_id,
            epoch=slate.epoch,
            version=slate.version,
            source=slate.source,
            model=slate.model,
            event_time=slate.event_time,
            event_id=slate.event_id,
            generated_at=slate.generated_at,
            expires_at=slate.expires_at if has_list else None,
            served_at=now,
            items=[served(list_item, rank, shelf) for rank, list_item in enumerate(list_items, start=1)],
        )

    def popular(self) -> list[str]:
        """The ids of the first popular items, best first, also of those that may not be listed now."""
        return [item for item, _ in islice(self._popular_items(), POPULAR)]

    def _popular_list(self, user_id: str, limit: int, now: int) -> RecommendationList:
        may_be_listed = self._views.shelf.may_be_listed
        sold = islice((entry for entry in self._popular_items() if may_be_listed(entry[0])), limit)
        list_items = [ListItem(item, 0.0, n, reason) for n, (item, reason) in enumerate(sold, start=1)]
        return RecommendationList(
            recommendation_id="popular",
            user_id=user_id,
            version=0,
            event_time=now,
            event_id=None,
            generated_at=now,
            model=self._model,
            source="popular",
            items=list_items,
            expires_at=now,
        )

    def _popular_items(self) -> Iterator[tuple[str, Reason]]:
        """Popular items, best first: those of live demand where there is any, then the model's. Of items that the model does not
        know those that the catalogue has."""
        live = self._views.orders
        if (head := None if live is None else live.head()) is not self._head:
            self._head, shelf = head, self._views.shelf
            self._first = {
                item.item_id: _TRENDING if item.is_trending else _POPULAR
                for item in head or ()
                if item.is_known or shelf.get(item.item_id) is not None
            }
        yield from self._first.items()
        yield from ((item, _POPULAR) for item in self._by_model if item not in self._first)


def served(list_item: ListItem, rank: int, shelf: CatalogueView) -> ServedItem:
    """Adds the item's title and price, and the title of the item in its reason."""
    item, anchor = shelf.get(list_item.item_id), shelf.get(list_item.reason.item_id or "")
    return ServedItem(
        item_id=list_item.item_id,
        score=list_item.score,
        rank=rank,
        reason=list_item.reason,
        p_click=list_item.p_click,
        reason_title=anchor.title if anchor else None,
        title=item.title if item else None,
        price=item.price if item else None,
        currency=item.currency if item else None,
        image_url=item.image_url if item else None,
    )
