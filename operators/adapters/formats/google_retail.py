"""User events of Google's Retail API (Vertex AI Search for commerce), and of its first version, Recommendations AI.

https://cloud.google.com/retail/docs/reference/rest/v2/projects.locations.catalogs.userEvents
"""

from operators.adapters.event_names import EventNames
from operators.adapters.fields import Record, filled, first, part, parts, text
from operators.adapters.order_lines import about

KNOWN = {
    "detail-page-view": "view",
    "add-to-cart": "add_to_cart",
    "remove-from-cart": "remove_from_cart",
    "purchase-complete": "purchase",
    "search": "search",
    "category-page-view": "impression",
}


def looks(record: Record) -> bool:
    """Whether a record is a user event."""
    return "eventType" in record and not record.keys().isdisjoint(("visitorId", "userInfo", "productDetails"))


def events(record: Record, names: EventNames) -> list[Record]:
    """An event by its `eventType`; a search that names its results is a search and an impression."""
    name = text(record, "eventType")
    person, detail = part(record, "userInfo"), part(record, "productEventDetail")
    lines = [_line(product) for product in parts(record, "productDetails") or parts(detail, "productDetails")]
    if name == "category-page-view" and not lines:
        name = f"{name} without products"
    if not (kind := names.of(name, KNOWN)):
        return []
    user, visitor = first(person, "userId"), first(record, "visitorId") or first(person, "visitorId")
    base = filled(
        event_time=first(record, "eventTime"),
        user_id=user or visitor,
        anonymous_id=visitor if user else None,
        session_id=first(record, "sessionId"),
    )
    if kind != "search":
        return about(kind, base, lines)
    asked = about(kind, base | filled(query=first(record, "searchQuery") or first(detail, "searchQuery")), [])
    return asked + (about("impression", base, lines) if lines else [])


def _line(detail: Record) -> Record:
    product = part(detail, "product")
    price = part(product, "priceInfo")
    name = first(product, "name")  # projects/…/products/ID
    return filled(
        item_id=first(product, "id") or first(detail, "id") or (str(name).rsplit("/", 1)[-1] if name else None),
        price=first(price, "price") or first(detail, "displayPrice", "originalPrice"),
        currency=first(price, "currencyCode") or first(detail, "currencyCode"),
        quantity=first(detail, "quantity"),
    )
