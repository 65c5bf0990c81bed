"""Ids of events whose source has none. The same file gives the same ids; two equal events get two ids."""

from array import array
from collections import Counter

import msgspec
import numpy as np
import xxhash

from operators.adapters.fields import Record
from operators.errors import BadRecord
from operators.records.contracts import MAX_ID

_encode = msgspec.json.Encoder().encode


def encoded(event: Record) -> bytes:
    """The JSON of an event. Raises `BadRecord` for text that is not UTF-8."""
    try:
        return _encode(event)
    except UnicodeEncodeError:
        fix = "turn the file into UTF-8: iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW"
        raise BadRecord("not_utf8", "text in UTF-8", "other bytes", fix) from None
    except (RecursionError, TypeError, ValueError) as error:
        raise BadRecord("wrong_type", "an event of a few levels", str(error)[:200]) from None


def numbered(events: list[Record]) -> None:
    """Gives the events of one record different ids, where the source has one id for all: `ID`, `ID-1`, `ID-2`."""
    seen = Counter[str]()
    for event in events:
        own = event.get("event_id")
        if isinstance(own, str):
            if seen[own]:
                event["event_id"] = f"{own}-{seen[own]}"
            seen[own] += 1


class Repeats:
    """Which events of a file come several times. 8 bytes an event."""

    def __init__(self) -> None:
        self._hashes = array("Q")
        self._repeated = frozenset[int]()

    def take(self, event: Record) -> None:
        """Counts an event, by its id or by its contents."""
        self._hashes.append(_hash(event)[0])

    def close(self) -> None:
        """Keeps the repeated hashes alone. Call it when all events are taken."""
        hashes = np.frombuffer(self._hashes, np.uint64)
        hashes.sort()
        self._repeated = frozenset(np.unique(hashes[1:][hashes[1:] == hashes[:-1]]).tolist())
        self._hashes = array("Q")

    def ids(self) -> "EventIds":
        """Gives ids in a further pass over the same events."""
        return EventIds(self._repeated)


class EventIds:
    """Gives ids. `repeated`: events left out, because one with the same id and contents came before."""

    def __init__(self, repeated_hashes: frozenset[int]) -> None:
        self._repeated_hashes, self._seen = repeated_hashes, Counter[int]()
        self._contents: dict[int, bytes] = {}  # of the first event with a repeated id
        self.repeated = 0

    def give(self, event: Record) -> bool:
        """Gives the event an id if it has none, or a shorter one if its own is too long. False for a repeated event."""
        short, digest = _hash(event)
        own = event.get("event_id")
        if own is None:
            event["event_id"] = f"{digest}-{earlier}" if (earlier := self._seen[short]) else digest
            if short in self._repeated_hashes:
                self._seen[short] += 1
            return True
        if short in self._repeated_hashes:
            contents = xxhash.xxh3_128_digest(encoded(event))
            if short in self._contents and self._contents[short] == contents:
                self.repeated += 1
                return False
            self._contents.setdefault(short, contents)
        if isinstance(own, str) and len(own) > MAX_ID:
            event["event_id"] = digest
        return True


def _hash(event: Record) -> tuple[int, str]:
    own = event.get("event_id")
    digest = xxhash.xxh3_128(encoded(event if own is None else {"event_id": own})).hexdigest()
    return int(digest[:16], 16), digest
