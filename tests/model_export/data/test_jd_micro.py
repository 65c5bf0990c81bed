"""JD's sessions as canonical events."""

import gzip
from pathlib import Path

import pytest

from model_export.data.jd_micro import events
from model_export.data.sessions import EPOCH_MS
from operators.errors import EventsFileError
from operators.time_units import HOUR_MS


def write(folder: Path, *lines: str) -> Path:
    file = folder / "jd.txt.gz"
    file.write_bytes(gzip.compress("\n".join(lines).encode()))
    return file


def test_gaps_are_kept_and_what_is_done_on_the_page_is_left_out(tmp_path: Path) -> None:
    event_list = [*events(write(tmp_path, "7+5+1+2+9 7+6+1+60+9 7+9+1+3+9 8+10+1+0+1", "9+1+1+5+5"))]
    assert [(event.user_id, event.event_type, event.item_id) for event in event_list] == [
        ("s0", "view", "7"), ("s0", "add_to_cart", "7"), ("s0", "purchase", "8"), ("s1", "view", "9"),
    ]  # fmt: skip
    assert [int(event.event_time) - EPOCH_MS for event in event_list] == [0, 62_000, 65_000, HOUR_MS]


def test_a_line_of_another_form_is_named(tmp_path: Path) -> None:
    with pytest.raises(EventsFileError, match="line 2"):
        [*events(write(tmp_path, "7+5+1+2+9", "7,5,1"))]
