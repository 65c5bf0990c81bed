"""Ids on the command line."""

import pytest
from typer.testing import CliRunner

from liveshelf.main import app


@pytest.mark.parametrize("verb", ["lists", "erase"])
@pytest.mark.parametrize(
    ("user", "expected"), [("", "0 characters"), ("x" * 129, "129 characters"), ("\udcff", "UTF-8"), ("a\0b", "U+0000")]
)
def test_what_no_event_can_have_as_an_id_is_refused_before_a_broker_is_asked(
    verb: str, user: str, expected: str
) -> None:
    ran = CliRunner().invoke(app, [verb, user], env={"COLUMNS": "200"})
    assert ran.exit_code == 2 and expected in ran.output
