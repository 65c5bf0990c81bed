"""The event names of other systems -> our event types, and counts of what an import leaves out."""

from collections import Counter
from collections.abc import Mapping
from typing import get_args

from operators.adapters.fields import Record, text
from operators.records.contracts import EventType

RETURN = "return"  # a purchase with a quantity below 0
TYPES = (*get_args(EventType), RETURN)
# names that shops give in their own tables, in lower case without separators
COMMON = {name.replace("_", ""): name for name in TYPES} | {
    "viewitem": "view",
    "viewproduct": "view",
    "productview": "view",
    "detailpageview": "view",
    "cart": "add_to_cart",
    "buy": "purchase",
    "order": "purchase",
    "transaction": "purchase",
    "refund": "return",
    "rating": "rate",
}


class EventNames:
    """Looks names up, the shop's own choice first. `unmapped`: records by a name without a type; `unused`: values left out
    by field."""

    def __init__(self, chosen: Mapping[str, str]) -> None:
        """`chosen`: their name -> our type, or `return`."""
        self._chosen = chosen
        self.unmapped: Counter[str] = Counter()
        self.unused: Counter[str] = Counter()

    def of(self, name: str, known: Mapping[str, str]) -> str | None:
        """The type of an event name; None, counted, for a name without one."""
        kind = self._chosen.get(name) or known.get(name)
        if not kind:
            self.unmapped[name] += 1
            return None
        return kind

    def common(self, name: str) -> str | None:
        """As `of`, for a format whose names the shop chooses: `Add-To-Cart` is `add_to_cart`."""
        return self.of(name, {name: COMMON.get(_plain(name), "")})

    def own(self, record: Record, field: str, default: str | None) -> str | None:
        """`common` of a field's text. `default`: of a file without the field."""
        return default if default and field not in record else self.common(text(record, field))


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
