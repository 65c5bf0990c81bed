"""Which items of an event repeat what the shopper did before: a shopper who reloads a page asks for its item once."""

from collections.abc import Iterable

from operators.shopper.state_layout import HISTORY, KINDS_AT, migrate
from operators.shopper.state_rings import BOUGHT_ITEMS, LOW, items_of_steps
from operators.shopper.user_state import KINDS, id_hash

_LOOKED = frozenset((KINDS["view"], KINDS["click"]))  # a click on a list is followed by a view of the item's page
_GROUPS: dict[str, frozenset[int]] = {
    "view": _LOOKED,
    "click": _LOOKED,
    "add_to_cart": frozenset((KINDS["add_to_cart"],)),
    "purchase": frozenset((KINDS["purchase"],)),
}


def repeated(state: bytes | None, items: Iterable[str], event_type: str) -> set[str]:
    """The items with which the shopper did the same before, as far as the kept steps reach. `state`: before the event;
    `event_type`: a view, click, cart event or purchase. A purchase of an item from the basket leaves no step of its own: the
    items bought count too."""
    if state is None:
        return set()
    record, kinds = migrate(state), _GROUPS[event_type]
    steps = items_of_steps(record)
    done = {steps[place] for place in range(HISTORY) if record[KINDS_AT + place] in kinds}
    lows = _bought(record) if event_type == "purchase" else ()
    hashes = ((item, id_hash(item)) for item in items)
    return {item for item, hashed in hashes if hashed in done or hashed & LOW in lows}


def bought(state: bytes | None, items: Iterable[str]) -> set[str]:
    """Of some items those that the shopper bought and did not return, as far as the state holds them."""
    if state is None:
        return set()
    lows = _bought(migrate(state))
    return {item for item in items if id_hash(item) & LOW in lows}


def _bought(record: bytes) -> tuple[int, ...]:
    return BOUGHT_ITEMS.packed.unpack_from(record, BOUGHT_ITEMS.at)
