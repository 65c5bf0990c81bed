"""Lines of a file of rejected records, for `import --rejects` and `validate --fix`."""

from typing import Any

import msgspec

from operators.errors import BadRecord

_encode = msgspec.json.Encoder().encode


def rejected_line(number: int, bad: BadRecord, record: Any) -> bytes:
    """`line` of the source, `reason`, `expected`, `came`, and `record`: as an object, or as text where it is none."""
    about = {"line": number, "reason": bad.reason, "expected": bad.expected, "came": bad.came}
    try:
        return _encode(about | {"record": record}) + b"\n"
    except (UnicodeEncodeError, RecursionError, ValueError, TypeError):
        text = repr(record)
    plain = {
        name: str(value).encode("utf-8", "backslashreplace").decode() for name, value in about.items() if name != "line"
    }
    return _encode({"line": number} | plain | {"record": text.encode("utf-8", "backslashreplace").decode()}) + b"\n"
