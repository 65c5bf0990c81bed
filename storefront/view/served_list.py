"""A list as it leaves the storefront: without what may not be listed any more, or the popular list for a stranger."""

from collections.abc import Callable
from itertools import islice

import msgspec

from operators.model.model_bundle import ModelBundle
from operators.records.contracts import ListItem, Model, Reason, RecommendationList
from storefront.view.views import CatalogueView, Views, now_ms


class ServedItem(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A place of a list with what a page shows."""

    item_id: str
    score: float
    rank: int
    reason: Reason
    reason_title: str | None = None
    title: str | None = None
    price: float | None = None
    currency: str | None = None
    image_url: str | None = None


class ServedList(msgspec.Struct, kw_only=True):
    """`known`: whether the user has a list that has not expired; else this is the popular list, which never does.

    `expired`: whether the user had a list, and its `expires_at` has passed. Times are epoch ms.
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
        self._popular = [items[row - 1] for row in (bundle.popular.tolist() if bundle else [])]
        self._model = Model(bundle.name, bundle.version) if bundle else Model("none", "0")

    def list_of(self, user_id: str, limit: int) -> ServedList:
        """The user's list, or the popular one where the user has none or it has expired."""
        made, now, shelf = self._views.list_of(user_id), self._clock_ms(), self._views.shelf
        known = made is not None and now < made.expires_at
        expired = made is not None and not known
        if made is None or expired:
            made = self._popular_list(user_id, limit, now)
        places = [place for place in made.items if shelf.sold(place.item_id)][:limit]
        return ServedList(
            user_id=user_id,
            known=known,
            expired=expired,
            recommendation_id=made.recommendation_id,
            epoch=made.epoch,
            version=made.version,
            source=made.source,
            model=made.model,
            event_time=made.event_time,
            event_id=made.event_id,
            generated_at=made.generated_at,
            expires_at=made.expires_at if known else None,
            served_at=now,
            items=[served(place, rank, shelf) for rank, place in enumerate(places, start=1)],
        )

    def _popular_list(self, user_id: str, limit: int, now: int) -> RecommendationList:
        sold = islice(filter(self._views.shelf.sold, self._popular), limit)
        places = [ListItem(i, 0.0, n, Reason("popular")) for n, i in enumerate(sold, start=1)]
        return RecommendationList(
            recommendation_id="popular",
            user_id=user_id,
            version=0,
            event_time=now,
            event_id=None,
            generated_at=now,
            model=self._model,
            source="popular",
            items=places,
            expires_at=now,
        )


def served(place: ListItem, rank: int, shelf: CatalogueView) -> ServedItem:
    """A place with its title and price, and the title of the item that it resembles."""
    item, anchor = shelf.get(place.item_id), shelf.get(place.reason.item_id or "")
    return ServedItem(
        item_id=place.item_id,
        score=place.score,
        rank=rank,
        reason=place.reason,
        reason_title=anchor.title if anchor else None,
        title=item.title if item else None,
        price=item.price if item else None,
        currency=item.currency if item else None,
        image_url=item.image_url if item else None,
    )
