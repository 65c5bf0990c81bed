"""Which items of an event repeat what the shopper did before: a shopper who reloads a page asks for its item once. And when
the shopper bought what comes back."""

from collections.abc import Iterable

from operators.shopper.state_layout import HISTORY, KINDS_AT, migrate
from operators.shopper.state_rings import BOUGHT_ITEMS, LOW, items_of_steps, step_at
from operators.shopper.user_state import KINDS, id_hash

_LOOKED = frozenset((KINDS["view"], KINDS["click"]))  # a click on a list is followed by a view of the item's page
_GROUPS: dict[str, frozenset[int]] = {
    "view": _LOOKED,
    "click": _LOOKED,
    "add_to_cart": frozenset((KINDS["add_to_cart"],)),
    "purchase": frozenset((KINDS["purchase"],)),
}
_BUYING = frozenset((KINDS["add_to_cart"], KINDS["purchase"]))


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


def bought_s(state: bytes | None, items: Iterable[str]) -> dict[str, int]:
    """Of some items those that the shopper bought and did not return, as far as the state holds them, and about when: epoch s.

    That is the time of the item's newest cart or purchase step. A purchase leaves no step of an item that the history
    holds already: without such a step it is the item's first step, and without any the oldest step of all.
    """
    if state is None:
        return {}
    record = migrate(state)
    lows, places = _bought(record), (step_at(record, place) for place in range(HISTORY))
    steps = sorted((second, stepped, kind) for stepped, second, kind in places if stepped)
    return {item: _about_s(steps, id_hash(item)) for item in items if id_hash(item) & LOW in lows}


def _about_s(steps: list[tuple[int, int, int]], item: int) -> int:
    """`steps`: (second, item, kind), the oldest first."""
    own = [(second, kind) for second, stepped, kind in steps if stepped == item]
    buying = [second for second, kind in own if kind in _BUYING]
    return buying[-1] if buying else own[0][0] if own else steps[0][0] if steps else 0


def _bought(record: bytes) -> tuple[int, ...]:
    return BOUGHT_ITEMS.packed.unpack_from(record, BOUGHT_ITEMS.at)
