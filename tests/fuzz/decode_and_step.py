"""Any bytes as an event, an erasure or a catalogue record: a dead letter or a state, never another error.

`python -m tests.fuzz.decode_and_step -max_total_time=60`; atheris' own options apply.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["operators"]):
    from operators.configuration.shop_settings import EventSettings
    from operators.errors import BadRecord
    from operators.records.catalogue_decode import read_item
    from operators.records.event_decode import EventDecoder, decode_erasure
    from operators.shopper.state_layout import SIZE
    from operators.shopper.user_state import erase, step, version_of

from tests.bad_records import bad_events

NOW_MS = 1_760_000_000_000
GOOD = b'{"event_id":"e","event_type":"view","event_time":1760000000000,"user_id":"u","item_id":"i"'


def one_input(content: bytes) -> None:
    """The content alone, and as the tail of an event that is good up to there."""
    decoder, state = EventDecoder(EventSettings()), None
    for value in (content, GOOD + b"," + content + b"}", GOOD.replace(b'"view"', content[:20]) + b"}"):
        try:
            event = decoder.decode("u", value, NOW_MS)
        except BadRecord as bad:
            assert len(str(bad)) < 2000
            continue
        for again in (event, event):
            done = step(state, again)
            state = done.state
        assert done.outcome == "duplicate"
        assert len(state) == SIZE
        assert version_of(state) <= 4
    try:
        decode_erasure("u", content)
    except BadRecord as bad:
        assert len(str(bad)) < 2000
    for arrived_ms in (-1, 0, NOW_MS, 2**45):
        assert len(erase(state, arrived_ms)) == SIZE
    try:
        read_item("", content)
    except BadRecord as bad:
        assert len(str(bad)) < 2000


if __name__ == "__main__":
    corpus = Path(tempfile.mkdtemp())
    for number, (_, _, value, _) in enumerate(bad_events(NOW_MS)):
        (corpus / str(number)).write_bytes((value or b"")[:2000])
    for kind in ("view", "purchase", "impression", "consent", "rate"):
        (corpus / kind).write_bytes(GOOD.replace(b"view", kind.encode()) + b',"items":["a","b"],"rating":3.5}')
    atheris.Setup([*sys.argv, str(corpus)], one_input)
    atheris.Fuzz()
