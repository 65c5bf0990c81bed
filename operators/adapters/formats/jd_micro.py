"""JD.com's samples of micro-behaviour (Gu et al., WSDM 2020, https://github.com/guyulongcs/WSDM2020_HUP).

A line is a session: `sku+behaviour+category+seconds to the next event+dwell`, separated by blanks. The data has no dates:
sessions start one hour apart, and keep their true gaps.
"""

from operators.adapters.event_names import EventNames
from operators.adapters.fields import Record, text
from operators.errors import BadRecord
from operators.time_units import HOUR_MS

EPOCH_MS = 1_600_000_000_000
# 1 home, 2 category, 3 sale, 4 cart, 5 search: the way to the product's page
KNOWN = {**dict.fromkeys("12345", "view"), "9": "add_to_cart", "10": "purchase"}
ON_PAGE = {"6": "comments", "7": "specification", "8": "page bottom"}
LARGEST_GAP_S = 10**9


def looks(record: Record) -> bool:
    """Whether a line begins with an event of a session."""
    return str(record.get("line")).partition(" ")[0].count("+") == 4


def events(record: Record, names: EventNames) -> list[Record]:
    """The events of a session. Acts on a product's page are counted as unmapped."""
    session, found = int(record["number"]) - 1, []
    time_ms = EPOCH_MS + session * HOUR_MS
    for position, entry in enumerate(text(record, "line").split()):
        try:
            sku, behaviour, _, gap, _ = entry.split("+")
            wait_ms = max(int(min(float(gap), LARGEST_GAP_S) * 1000), 1)
        except (ValueError, OverflowError):
            raise BadRecord("wrong_type", "sku+behaviour+category+interval+dwell", entry[:80]) from None
        if kind := names.of(ON_PAGE.get(behaviour, behaviour), KNOWN):
            found.append(
                {
                    "event_id": f"{session}-{position}",
                    "event_type": kind,
                    "event_time": time_ms,
                    "user_id": f"s{session}",
                    "item_id": sku,
                }
            )
        time_ms += wait_ms
    return found
