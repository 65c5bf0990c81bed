"""RetailRocket's public data set, `events.csv`. https://www.kaggle.com/datasets/retailrocket/ecommerce-dataset"""

from operators.adapters.event_names import EventNames
from operators.adapters.fields import Record, filled, first, text
from operators.adapters.order_lines import about

REQUIRED = ("timestamp", "visitorid", "event", "itemid")
KNOWN = {"view": "view", "addtocart": "add_to_cart", "transaction": "purchase"}


def looks(record: Record) -> bool:
    """Whether a record is a row of `events.csv`."""
    return {*REQUIRED} <= record.keys()


def events(record: Record, names: EventNames) -> list[Record]:
    """A row is one event; each line of a transaction is a purchase."""
    if not (kind := names.of(text(record, "event"), KNOWN)):
        return []
    base = filled(event_time=first(record, "timestamp"), user_id=first(record, "visitorid"))
    return about(kind, base, [filled(item_id=first(record, "itemid"))])
