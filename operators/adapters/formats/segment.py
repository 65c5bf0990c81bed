"""Segment's calls (`track`, `identify`, `alias`) with the names of its ecommerce spec, as its raw logs hold them.

https://segment.com/docs/connections/spec/common and https://segment.com/docs/connections/spec/ecommerce/v2
"""

from operators.adapters.event_names import RETURN, EventNames
from operators.adapters.fields import Record, filled, first, part, parts, text
from operators.adapters.order_lines import about

KNOWN = {
    "Product Viewed": "view",
    "Product Clicked": "click",
    "Product List Viewed": "impression",
    "Product List Filtered": "impression",
    "Product Added": "add_to_cart",
    "Wishlist Product Added to Cart": "add_to_cart",
    "Product Removed": "remove_from_cart",
    "Order Completed": "purchase",
    "Order Refunded": RETURN,
    "Order Cancelled": RETURN,
    "Products Searched": "search",
    "Product Reviewed": "rate",
    # of the first version of the spec
    "Viewed Product": "view",
    "Viewed Product Category": "impression",
    "Added Product": "add_to_cart",
    "Removed Product": "remove_from_cart",
    "Completed Order": "purchase",
}
CALLS = ("track", "identify", "alias", "page", "screen", "group")


def looks(record: Record) -> bool:
    """Whether a record is a call to Segment."""
    return record.get("type") in CALLS and not record.keys().isdisjoint(("event", "messageId", "userId", "anonymousId"))


def events(record: Record, names: EventNames) -> list[Record]:
    """`track` by its event's name; `identify` and `alias` with a user; other calls by the name of the call."""
    call, user, guest = text(record, "type"), first(record, "userId"), first(record, "anonymousId", "previousId")
    base = filled(
        event_id=first(record, "messageId"),
        event_time=first(record, "timestamp", "originalTimestamp", "sentAt", "receivedAt"),
        user_id=user or guest,
        anonymous_id=guest if user else None,
    )
    if call != "track":
        known = {"identify": "identify", "alias": "identify"} if user else {}
        kind = names.of(call if user or call not in ("identify", "alias") else f"{call} without userId", known)
        return about(kind, base, []) if kind else []
    if not (kind := names.of(text(record, "event"), KNOWN)):
        return []
    properties = part(record, "properties")
    base |= filled(query=first(properties, "query")) if kind == "search" else {}
    base |= filled(rating=first(properties, "rating")) if kind == "rate" else {}
    products = parts(properties, "products") or ([properties] if first(properties, "product_id", "sku") else [])
    return about(kind, base, [_line(product, properties) for product in products])


def _line(product: Record, properties: Record) -> Record:
    position = first(product, "position")
    return filled(
        item_id=first(product, "product_id", "sku"),
        price=first(product, "price"),
        quantity=first(product, "quantity"),
        currency=first(product, "currency") or first(properties, "currency"),
        placement=first(properties, "list_id"),
        position=position - 1 if isinstance(position, int) and position > 0 else None,  # theirs counts from 1
    )
