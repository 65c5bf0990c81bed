"""Turns session files in the form of the papers into examples, with the same `step` and `features` as the job.

A folder holds `train.parquet` (`items`: a list a session; oldest first, or by `session`) and `test.parquet`
(`prefix`: a list, `target`: the next item). Item ids are numbers or text. The files have no times: sessions get times
one minute apart and views one second apart, so that "newer" means "later in the file".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model_export.data.dataset import Examples, examples
from model_export.data.outcomes import WANTED
from operators.configuration.shop_settings import EventSettings
from operators.errors import BadRecord, EventsFileError
from operators.records.contracts import Event
from operators.records.written_values import read_id
from operators.shopper.features import WINDOW, Features, Vocabulary, features
from operators.shopper.state_layout import EMPTY, read_states
from operators.shopper.user_state import KINDS, step

EPOCH_MS, MINUTE_MS = 1_600_000_000_000, 60_000  # of the made-up times
CHUNK = 4096
DEFAULTS = EventSettings()


@dataclass(frozen=True)
class SessionSet:
    """Training sessions, oldest first, and test questions (prefix, target).

    `cleaning`: rows read, rows dropped by reason, rows kept, of each file.
    """

    name: str
    train: list[list[str]]
    prefixes: list[list[str]]
    targets: list[str]
    cleaning: dict[str, dict[str, int]]

    def vocabulary(self, sessions: Sequence[list[str]] | None = None) -> Vocabulary:
        """Items of these sessions (default: all training sessions), most frequent first."""
        counts: dict[str, int] = {}
        for items in self.train if sessions is None else sessions:
            for item in items:
                counts[item] = counts.get(item, 0) + 1
        return Vocabulary(sorted(counts, key=lambda item: (-counts[item], item)))

    def questions(self, words: Vocabulary, window: int = WINDOW, hop: int = 1) -> Examples:
        """The test questions; a target that is not in the training sessions has row 0 and counts as a miss."""
        return session_questions(self.prefixes, self.targets, words, window, hop)


def read_sessions(folder: Path, limits: EventSettings = DEFAULTS) -> SessionSet:
    """Reads and cleans both files; ids in `limits.placeholder_ids` count as missing.

    Raises `EventsFileError` when a file is missing, broken, empty or of another form.
    """
    train = _read_table(folder / "train.parquet", ("items",))
    if "session" in train.column_names:
        train = train.sort_by("session")
    sessions, train_counts = _cleaned(train.column("items").to_pylist(), limits.placeholders)
    single = sum(len(items) < 2 for items in sessions)
    usable = [items for items in sessions if len(items) > 1]
    train_counts |= {"dropped: one item": single, "out": len(usable)}
    if not usable:
        raise EventsFileError(
            "sessions of two items or more", f"{len(sessions)} shorter ones in {folder}/train.parquet", _FORM
        )
    test = _read_table(folder / "test.parquet", ("prefix", "target"))
    raw_prefixes, raw_targets = test.column("prefix").to_pylist(), test.column("target").to_pylist()
    prefixes, targets, test_counts = _pairs(raw_prefixes, raw_targets, limits.placeholders)
    if not targets:
        raise EventsFileError("questions with a prefix and a target", f"none in {folder}/test.parquet", _FORM)
    trained_items = {item for items in usable for item in items}
    test_counts["targets never seen in training (misses for every model)"] = sum(
        target not in trained_items for target in targets
    )
    return SessionSet(folder.name, usable, prefixes, targets, {"train": train_counts, "test": test_counts})


_FORM = "columns `items` in train.parquet, `prefix` and `target` in test.parquet; see docs/train.md"


def _read_table(file: Path, columns: Sequence[str]) -> pa.Table:
    try:
        table = pq.read_table(file)
    except FileNotFoundError as error:
        raise EventsFileError(f"the file {file.name}", f"none in {file.parent}", _FORM) from error
    except (pa.ArrowException, OSError) as error:
        problem = f"{file.stat().st_size} bytes that are not: {str(error)[:120]}"
        raise EventsFileError(f"parquet in {file}", problem, "an interrupted download? fetch the file again") from error
    if missing_columns := [name for name in columns if name not in table.column_names]:
        raise EventsFileError(f"column {missing_columns[0]} in {file}", f"columns {table.column_names}", _FORM)
    return table


def item_id(value: Any, placeholders: frozenset[str]) -> str | None:
    """A column's value as an id, None when it is not one. parquet holds integers as floats when a value is missing."""
    if type(value) is int:
        return str(value)
    if isinstance(value, str):
        text = value.strip()
        return text if text and text.lower() not in placeholders else None
    try:
        return read_id("item", value)
    except BadRecord:  # a null, NaN, or a fraction
        return None


def _ids(values: Sequence[Any] | None, placeholders: frozenset[str]) -> list[str]:
    return [item for value in values or () if (item := item_id(value, placeholders)) is not None]


def _cleaned(rows: Sequence[Any], placeholders: frozenset[str]) -> tuple[list[list[str]], dict[str, int]]:
    sessions, empty, nulls = [], 0, 0
    for items in rows:
        ids = _ids(items, placeholders)
        nulls += len(items or ()) - len(ids)
        if ids:
            sessions.append(ids)
        else:
            empty += 1
    return sessions, {"in": len(rows), "dropped: no item": empty, "items without an id": nulls}


def _pairs(
    prefixes: Sequence[Any], targets: Sequence[Any], placeholders: frozenset[str]
) -> tuple[list[list[str]], list[str], dict[str, int]]:
    pairs = [
        (_ids(prefix, placeholders), item_id(target, placeholders))
        for prefix, target in zip(prefixes, targets, strict=True)
    ]
    questions = [(prefix, target) for prefix, target in pairs if prefix and target is not None]
    counts = {"in": len(targets), "dropped: no prefix or target": len(targets) - len(questions), "out": len(questions)}
    return [prefix for prefix, _ in questions], [target for _, target in questions], counts


def views(sessions: Sequence[list[str]], first: int = 0) -> Iterator[Event]:
    """The sessions as canonical events: one user each, numbered from `first`."""
    for number, items in enumerate(sessions, start=first):
        session_ms = EPOCH_MS + number * MINUTE_MS
        for position, item in enumerate(items):
            yield Event(
                event_id=str(position),
                event_type="view",
                event_time=session_ms + position * 1000,
                user_id=f"s{number}",
                item_id=item,
            )


def session_examples(sessions: Sequence[list[str]], words: Vocabulary, window: int = WINDOW, hop: int = 1) -> Examples:
    """One example for each view of these sessions."""
    return examples(views(sessions), words, window=window, hop=hop)


def session_questions(
    prefixes: Sequence[list[str]],
    targets: Sequence[str],
    words: Vocabulary,
    window: int = WINDOW,
    hop: int = 1,
    first: int = 0,
) -> Examples:
    """One example for each question, newer than any of `first` sessions."""
    parts: list[Features] = []
    pending: list[bytes] = []
    for number, prefix in enumerate(prefixes):
        state: bytes | None = None
        for event in views([prefix], first + number):
            state = step(state, event).state
        pending.append(state or EMPTY)
        if len(pending) == CHUNK or number + 1 == len(prefixes):
            parts.append(features(read_states(pending), words, window, hop))
            pending.clear()
    times = EPOCH_MS + (first + np.arange(len(targets), dtype=np.int64)) * MINUTE_MS
    return Examples(
        Features.joined(parts),
        np.array([words.row(target) for target in targets], dtype=np.int32),
        times,
        (times // 1000).astype(np.uint32),
        np.arange(len(targets), dtype=np.int32),
        np.full(len(targets), KINDS["view"], dtype=np.uint8),
        np.zeros((len(targets), len(WANTED)), dtype=bool),
        np.full(len(targets), np.nan, dtype=np.float32),
    )
