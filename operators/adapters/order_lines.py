"""The product lines of a foreign event -> events as docs/events.md wants them: a basket, a shown list, or one an item."""

from collections.abc import Sequence

from operators.adapters.event_names import RETURN
from operators.adapters.fields import Record
from operators.records.contracts import NEED_ITEM

_PLACE = ("placement", "currency")  # fields of a line that hold for a whole basket or list


def about(kind: str, base: Record, lines: Sequence[Record]) -> list[Record]:
    """The events of one foreign event. `kind`: our type, or `return`; `lines`: `item_id`, `price`, `quantity` and so on.

    An event that needs an item and has none goes without: the decoder refuses it with its reason.
    """
    event = base | {"event_type": "purchase" if kind == RETURN else kind}
    if kind in NEED_ITEM:
        return [event | line for line in lines] or [event]
    if kind == "impression":
        return [_joined(event, lines)]
    if kind == RETURN:
        return [_order(event, [line | {"quantity": below_0(line)} for line in lines])]
    if kind == "purchase":
        returned = [line for line in lines if _is_returned(line)]
        bought = [line for line in lines if not _is_returned(line)]
        return [_order(event, group) for group in (bought, returned) if group] or [event]
    return [event]


def _order(event: Record, lines: Sequence[Record]) -> Record:
    """One line keeps its price and quantity. A basket has none: docs/events.md knows no price of a line."""
    if len(lines) == 1:
        return event | lines[0]
    return _joined(event, lines) | ({"quantity": -1} if lines and _is_returned(lines[0]) else {})


def _joined(event: Record, lines: Sequence[Record]) -> Record:
    shared = {name: lines[0][name] for name in _PLACE if lines and name in lines[0]}
    return event | shared | ({"items": [line.get("item_id") for line in lines]} if lines else {})


def _number(line: Record) -> float:
    try:
        return float(line.get("quantity", 1))
    except (TypeError, ValueError, OverflowError):
        return 1.0  # the decoder refuses it with its reason


def _is_returned(line: Record) -> bool:
    return _number(line) < 0


def below_0(line: Record) -> float:
    """The quantity of a returned line: below 0, whichever sign the shop wrote."""
    return -abs(_number(line)) or -1.0
