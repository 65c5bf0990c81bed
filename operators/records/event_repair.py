"""Converts events that differ from docs/events.md to the documented form, or raises `BadRecord`.

`converted` handles events that the strict decoder refuses: values of another JSON type. `settle` normalises events that
decode: blanks around ids, consents, returns, baskets. Both return the names of the fields that they changed.
"""

import re
from collections.abc import Iterable
from typing import Any, get_args

import msgspec

from operators.errors import BadRecord
from operators.records.contracts import MAX_BASKET, MAX_ID, NEED_ITEM, Event, EventType
from operators.records.json_objects import read_object
from operators.records.written_values import MAX_TEXT, SHOWN, read_amount, read_consent, read_id, read_list, read_time

_REQUIRED = ("event_id", "event_type", "event_time", "user_id")
_IDS = ("event_id", "user_id", "item_id", "anonymous_id", "session_id")
_TEXTS = (*_IDS, "recommendation_id", "placement", "query")  # a number stands for its digits
_COUNTS = ("position", "schema_version")
_NUMBERS = ("price", "quantity", "rating")
_NEED_ITEMS = frozenset(("purchase", "impression"))
# UTF-16 decoders, some CSV readers and Kafka's tools drop a leading byte-order mark: two ids would be equal there and
# different here
_BAD_ID = re.compile("^[\ufeff\ufffe]|[\x00-\x1f\x7f-\x9f]")


def converted(value: bytes) -> tuple[Event, list[str]]:
    """The event of a record that did not decode strictly, and the names of the converted fields. Raises `BadRecord`."""
    fields = read_object(value)
    for name in _REQUIRED:
        if name not in fields:
            raise BadRecord("missing_field", f"the field {name}", "an object without it")
    kind = fields["event_type"]
    if isinstance(kind, str) and kind not in get_args(EventType):
        raise BadRecord("unknown_event_type", f"one of {', '.join(get_args(EventType))}", repr(kind)[:SHOWN])
    before = dict(fields)
    _drop_empty(fields)
    _read_ids(fields)
    _read_numbers(fields)
    if isinstance(fields["event_time"], float | None):
        fields["event_time"] = read_time(fields["event_time"])
    if (items := fields.get("items")) is not None:
        items = read_list(items)
        fields["items"] = _read_items(items)
        if kind == "purchase" and _is_return(items) and isinstance(fields.get("quantity"), int | float | None):
            fields["quantity"] = -abs(fields.get("quantity") or 1)  # other types are refused below
    try:
        event = msgspec.convert(fields, Event)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadRecord("wrong_type", "the types of docs/schemas/event.json", str(error)[:SHOWN]) from None
    return event, [name for name, field_value in fields.items() if field_value is not before.get(name)]


def _drop_empty(fields: dict[str, Any]) -> None:
    """Drops empty texts, which stand for null in tables, except where the event needs the field."""
    kind = fields["event_type"]
    needed = (*_REQUIRED, "item_id") if isinstance(kind, str) and kind in NEED_ITEM else _REQUIRED
    for name in [name for name, value in fields.items() if value == "" and name not in needed]:
        del fields[name]


def _read_ids(fields: dict[str, Any]) -> None:
    for name in _TEXTS:
        value = fields.get(name)
        if value is not None or name in _REQUIRED:
            fields[name] = read_id(name, value)
    for name in _IDS:
        _check_length(name, fields.get(name))


def _check_length(name: str, text: str | None) -> None:
    if text is not None and not 0 < len(text) <= MAX_ID:
        raise BadRecord("bad_id", f"{name} of 1 to {MAX_ID} characters", f"{len(text)} characters")


def _read_numbers(fields: dict[str, Any]) -> None:
    if fields.get("schema_version", 0) is None:
        del fields["schema_version"]
    for name in _NUMBERS:
        if isinstance(value := fields.get(name), str | int):
            number, currency = read_amount(name, value)
            if currency is not None:
                if name != "price":
                    raise BadRecord("bad_amount", f"{name} without a currency", repr(value)[:SHOWN])
                fields["currency"] = fields.get("currency") or currency
            fields[name] = number
    for name in _COUNTS:
        if isinstance(value := fields.get(name), str | float):
            digits = read_id(name, value)
            fields[name] = int(digits) if digits.isdecimal() and len(digits) <= MAX_TEXT else value
    if (version := fields.get("schema_version", 1)) != 1:
        raise BadRecord("unknown_schema_version", "schema_version 1", repr(version)[:SHOWN])


def _read_items(items: Any) -> list[str]:
    if not isinstance(items, list) or len(items) > MAX_BASKET:
        came = f"{len(items)} items" if isinstance(items, list) else repr(items)[:SHOWN]
        raise BadRecord("wrong_type", f"items as a list of at most {MAX_BASKET} ids", came)
    read = (
        items
        if all(isinstance(entry, str) for entry in items)
        else [read_id("items", _item_of(entry)) for entry in items]
    )
    for text in read:
        _check_length("items", text)
    return read


def _item_of(entry: Any) -> Any:
    """The id of an entry of `items`, which may be an object with a quantity and a price."""
    return entry.get("item_id", entry.get("id", entry)) if isinstance(entry, dict) else entry


def _is_return(items: list[Any]) -> bool:
    """Whether all lines of an order are returns. Raises `BadRecord` if only some are."""
    returned = [isinstance(line, dict) and any(_is_below_0(line, name) for name in _NUMBERS) for line in items]
    if any(returned) and not all(returned):
        raise BadRecord("bad_amount", "a purchase or a return", "an order of both: send an event of each")
    return any(returned)


def _is_below_0(line: dict[str, Any], name: str) -> bool:
    value = line.get(name)
    return value not in (None, "") and read_amount(name, value).number < 0


def settle(event: Event, placeholders: frozenset[str]) -> list[str]:
    """Normalises the event; returns the names of the changed fields. Raises `BadRecord`. `placeholders`: in lower case."""
    changed = _strip(event)
    for name in (*_IDS, "recommendation_id", "placement"):
        refuse_bad_id(name, getattr(event, name))
    if event.user_id != event.user_id.strip():
        raise BadRecord("bad_id", "a user_id without blanks around it", repr(event.user_id)[:SHOWN])
    refuse_placeholders((event.user_id, event.item_id or "", *(event.items or ())), placeholders)
    if event.event_type == "consent":
        changed += _read_consent(event)
    changed += _read_return(event) + _read_basket(event)
    return changed


def _strip(event: Event) -> list[str]:
    changed = []
    for name in ("item_id", "session_id"):
        text = getattr(event, name)
        if text is not None and (bare := text.strip()) != text:
            _check_length(name, bare)
            setattr(event, name, bare)
            changed.append(name)
    if event.items is not None:
        bare_items = [item.strip() for item in event.items]
        for item in bare_items if "" in bare_items or not "".join(bare_items).isprintable() else ():
            _check_length("items", item)
            refuse_bad_id("items", item)
        if bare_items != event.items:
            event.items = bare_items
            changed.append("items")
    return changed


def check_id(name: str, text: str) -> None:
    """Raises `BadRecord` for a text that cannot be an id of an event."""
    _check_length(name, text)
    if not text.isprintable():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise BadRecord("not_utf8", f"{name} in UTF-8", "other bytes") from None
    refuse_bad_id(name, text)


def refuse_bad_id(name: str, text: str | None) -> None:
    """Raises `BadRecord` for characters that no id may have. Does not check the length."""
    if text and (match := _BAD_ID.search(text)):
        place = f"U+{ord(match[0]):04X} at {match.start()}"
        raise BadRecord("bad_id", f"{name} without control characters and byte-order mark", place)


def refuse_placeholders(ids: Iterable[str], placeholders: frozenset[str]) -> None:
    """Raises `BadRecord` for a placeholder in the place of an id; `placeholders` are in lower case."""
    for text in ids:
        if text.lower() in placeholders:
            raise BadRecord("bad_id", "the id of a shopper and of an item", f"{text!r}, which stands for none")


def _read_consent(event: Event) -> list[str]:
    context = event.context or {}
    consent = context.get("personalisation")
    if consent == (decision := read_consent(consent)):
        return []
    event.context = context | {"personalisation": decision}
    return ["context"]


def _read_return(event: Event) -> list[str]:
    """Reads a purchase with a price below 0 as a return: a quantity below 0."""
    if event.event_type == "purchase" and event.quantity == 0:
        raise BadRecord("bad_amount", "a quantity above 0, or below 0 of a return", "0")
    if event.price is None or event.price >= 0:
        return []
    if event.event_type != "purchase":
        raise BadRecord("bad_amount", f"a price of 0 or more with {event.event_type}", str(event.price))
    event.price, event.quantity = -event.price, -abs(event.quantity or 1)
    return ["price"]


def _read_basket(event: Event) -> list[str]:
    """Moves the items of a purchase with several items, or of an impression, to `items`, each once."""
    if event.event_type == "impression" and event.item_id is not None and not event.items:
        event.items, event.item_id = [event.item_id], None
        return ["items"]
    if event.event_type != "purchase" or not event.items:
        return []
    basket = [*dict.fromkeys(event.items if event.item_id is None else [event.item_id, *event.items])]
    if basket == event.items and event.item_id is None:
        return []
    if len(basket) > MAX_BASKET:
        raise BadRecord("wrong_type", f"a basket of at most {MAX_BASKET} items", f"{len(basket)} items")
    event.item_id, event.items = None, basket
    return ["items"]


def check_items(event: Event) -> None:
    """Raises `BadRecord` for an event without the item that its type is about."""
    if event.item_id is None and (
        event.event_type in NEED_ITEM or (event.event_type in _NEED_ITEMS and not event.items)
    ):
        raise BadRecord("missing_item", f"an item_id with {event.event_type}", "none")


def check_rating(event: Event, scale: list[float]) -> None:
    """Raises `BadRecord` for a missing rating or one outside the scale."""
    if event.rating is None:
        raise BadRecord("missing_rating", "a rating with rate", "none")
    if not scale[0] <= event.rating <= scale[1]:
        expected = f"a rating from {scale[0]:g} to {scale[1]:g} (events.rating_scale)"
        raise BadRecord("bad_amount", expected, f"{event.rating:g}")
