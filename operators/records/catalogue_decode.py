"""Bytes of a catalogue record -> a valid `CatalogueItem`, or `BadRecord` with one of `contracts.DEAD_LETTER_REASONS`.

Job, scorer, storefront, monitor, trainer, `validate` and `replay` all decode the catalogue here. An unreadable record
changes nothing: only a null value delists.
"""

from collections import Counter
from typing import Any

import msgspec

from operators.errors import BadRecord
from operators.records.contracts import MAX_ID, CatalogueItem
from operators.records.event_repair import refuse_bad_id, refuse_placeholders
from operators.records.json_objects import read_object
from operators.records.written_values import SHOWN, in_ms, read_amount, read_id, read_list, read_time

_decode = msgspec.json.Decoder(CatalogueItem).decode
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)
MAX_BYTES = 256 * 1024  # of a record
LONGEST_TEXT = 2_000  # characters: a list carries the texts of its items
_SERVED = ("title", "brand", "currency", "image_url", "category_path")
_TEXTS = ("title", "brand", "currency", "image_url", "description")
_TIMES = ("available_from", "available_until")
_LISTS = {"category": ">", "tags": ","}  # what separates the parts of one text
_IN_STOCK = frozenset(("true", "yes", "on", "y", "in stock", "instock", "available"))
_SOLD_OUT = frozenset(
    ("false", "no", "off", "n", "out of stock", "outofstock", "sold out", "unavailable", "not available")
)


def read_item(
    key: str, value: bytes, repaired: Counter[str] | None = None, placeholders: frozenset[str] = frozenset()
) -> CatalogueItem:
    """The item of a record; `key` is its Kafka key, "" of a line of a file. Raises `BadRecord`.

    `repaired` counts the fields that were converted; `placeholders`: texts that are no id.
    """
    if len(value) > MAX_BYTES:
        raise BadRecord("too_large", f"at most {MAX_BYTES} bytes", f"{len(value)} bytes")
    try:
        item = _decode(value)
    except _UNREADABLE:
        item, changed = _converted(value)
        if repaired is not None:
            repaired.update(changed)
    item.item_id = item.item_id.strip()
    if not 0 < len(item.item_id) <= MAX_ID:
        raise BadRecord("bad_id", f"item_id of 1 to {MAX_ID} characters", f"{len(item.item_id)} characters")
    refuse_bad_id("item_id", item.item_id)
    refuse_placeholders((item.item_id,), placeholders)
    if key and item.item_id != key:
        raise BadRecord("key_mismatch", "the Kafka key to be the item_id", f"key {key!r}, {item.item_id!r}"[:SHOWN])
    for name in _SERVED:
        if (text := getattr(item, name)) and len(text) > LONGEST_TEXT:
            raise BadRecord("too_large", f"{name} of at most {LONGEST_TEXT} characters", f"{len(text)} characters")
    if item.description and len(item.description) > LONGEST_TEXT:
        item.description = item.description[:LONGEST_TEXT]  # search reads the beginning; shops write whole pages
    if item.price is not None and item.price < 0:
        raise BadRecord("bad_amount", "a price of 0 or more", str(item.price))
    if item.margin is not None and not 0 <= item.margin <= 1:
        raise BadRecord("bad_amount", "a margin of 0 to 1, the shop's share of the price", str(item.margin))
    if item.stock is not None and item.stock <= 0:
        item.in_stock = False
    for name in _TIMES:
        if (time := getattr(item, name)) is not None:
            setattr(item, name, in_ms(time))
    if isinstance(item.category, str) and (">" in item.category or item.category.startswith("[")):
        item.category = _read_texts("category", item.category)
    return item


def read_record(key: str, value: bytes, placeholders: frozenset[str]) -> CatalogueItem:
    """The item of a record of the topic, whose key names the item. Raises `BadRecord`."""
    if not key:
        raise BadRecord("key_mismatch", "the Kafka key to be the item_id", "no key")
    return read_item(key, value, None, placeholders)


def _converted(value: bytes) -> tuple[CatalogueItem, list[str]]:
    written = read_object(value)
    # a null, or an empty text as tables without nulls have it, is no value
    fields = {name: field for name, field in written.items() if field is not None and field != ""}
    if "item_id" not in fields:
        raise BadRecord("missing_field", "the field item_id", "an object without it")
    fields["item_id"] = read_id("item_id", fields["item_id"])
    if isinstance(price := fields.get("price"), str):
        fields["price"], currency = read_amount("price", price)
        fields["currency"] = fields.get("currency", currency)
    for name, field in fields.items():
        if name in _TEXTS and field is not None:
            fields[name] = _read_text(name, field)
        elif name in _TIMES:
            fields[name] = read_time(field)
        elif name in _LISTS:
            fields[name] = _read_texts(name, field)
        elif name in ("in_stock", "stock"):
            pieces = _read_pieces(name, field)
            fields[name] = pieces if name == "stock" else pieces > 0
    try:
        item = msgspec.convert(fields, CatalogueItem)
    except _UNREADABLE as error:
        raise BadRecord("wrong_type", "the types of docs/schemas/catalogue-item.json", str(error)[:SHOWN]) from None
    return item, [name for name, field in fields.items() if field is not written.get(name)]


def _read_text(name: str, value: Any) -> str:
    try:
        return read_id(name, value)
    except BadRecord as bad:
        raise BadRecord("wrong_type", bad.expected, bad.came) from None


def _read_texts(name: str, value: Any) -> list[str]:
    """A list of texts, or one text with its parts."""
    value = read_list(value)
    if isinstance(value, str) and value.startswith("['"):  # as Python prints a list
        raise BadRecord("wrong_type", f"{name} as a list, or as one text", repr(value)[:SHOWN])
    parts = value.split(_LISTS[name]) if isinstance(value, str) else value if isinstance(value, list) else [value]
    return [text for part in parts if part is not None and (text := _read_text(name, part).strip())]


def _read_pieces(name: str, value: Any) -> float:
    """The number of pieces; 1 or 0 of a flag or of words such as "sold out"."""
    if isinstance(value, bool):
        return float(value)
    text = value.strip().lower().replace("_", " ").replace("-", " ") if isinstance(value, str) else ""
    if text in _IN_STOCK or text in _SOLD_OUT:
        return float(text in _IN_STOCK)
    if isinstance(value, int | float) or text[:1].isdecimal() or text[1:2].isdecimal():
        number, currency = read_amount(name, value)
        if currency is None:
            return number
        raise BadRecord("bad_amount", f"{name} without a currency", repr(value)[:SHOWN])
    raise BadRecord("wrong_type", f"{name} as true or false, or as a number", repr(value)[:SHOWN])
