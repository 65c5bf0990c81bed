"""Escapes text from outside before it goes to a terminal or a log.

A terminal obeys escape codes, and a line break could forge a log line.
"""

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str, limit: int | None = None) -> str:
    """The text with each character that is not printable (`str.isprintable`: controls, line breaks, marks of direction,
    lone surrogates) as its JSON escape, so that a line of JSON stays one of the same value.

    `limit`: the longest text in characters; a cut text ends with the number of characters cut off.
    """
    cut = 0 if limit is None else max(0, len(text) - limit)
    shown = text[:limit]
    if not shown.isprintable():
        shown = "".join(character if character.isprintable() else _escaped(character) for character in shown)
    return f"{shown} … ({cut} more characters)" if cut else shown


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return _SHORT.get(character) or "".join(f"\\u{units[n]:02x}{units[n + 1]:02x}" for n in range(0, len(units), 2))
