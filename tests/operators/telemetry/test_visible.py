import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.telemetry.visible import visible

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ÄÖ Ü 🛒 [/red]", "ÄÖ Ü 🛒 [/red]"),
        ("\x1b[31mred\x07", "\\u001b[31mred\\u0007"),
        ("ok\nok all checks pass\r\t", "ok\\nok all checks pass\\r\\t"),
        ("\x9b31m\x7f", "\\u009b31m\\u007f"),
        ("a\u202eb\u2028c\ufeff", "a\\u202eb\\u2028c\\ufeff"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\udb40\\udc41"),
    ],
)
def test_what_a_terminal_would_obey_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(ANY_TEXT)
def test_it_is_one_printable_line_and_json_stays_the_same_value(text: str) -> None:
    assert visible(text).isprintable()
    line = json.dumps({"message": text}, ensure_ascii=False)
    assert json.loads(visible(line)) == {"message": text}


def test_a_long_text_says_how_much_is_missing() -> None:
    assert visible("x" * 12, 10) == "x" * 10 + " … (2 more characters)"
    assert visible("x" * 10, 10) == "x" * 10
