"""Whether an event repeats what the shopper did before: a shopper who reloads a page asks for its item once."""

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


def repeats(state: bytes | None, item_id: str, event_type: str) -> bool:
    """Whether the kept steps hold the same act with this item. `state`: before the event; `event_type`: a view, click, cart
    event or purchase. A purchase of an item from the basket leaves no step of its own: the items bought count too."""
    if state is None:
        return False
    record, item = migrate(state), id_hash(item_id)
    items, kinds = items_of_steps(record), _GROUPS[event_type]
    if event_type == "purchase" and item & LOW in BOUGHT_ITEMS.packed.unpack_from(record, BOUGHT_ITEMS.at):
        return True
    return item in items and any(items[place] == item and record[KINDS_AT + place] in kinds for place in range(HISTORY))
