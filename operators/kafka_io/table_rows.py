"""The rows of a local table on disk: the topic's values by key, the next offsets, and the topic that they come from.

Values and offsets go into one write batch, so a restart continues exactly where the files stop. While a topic is read again
from its beginning, the old rows stay readable. Each row that comes again gets a mark; at the end the rows without a mark
are removed.
"""

import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from rocksdict import BlockBasedOptions, Options, Rdict, WriteBatch, WriteOptions

from operators.kafka_io.table_origin import FORMAT, Origin

log = logging.getLogger(__name__)
# first byte of a row: a record of the topic, the table's own notes, a partition's next offset, a key that was read again
KEY, NOTES, OFFSET, MARK = b"k", b"n", b"o", b"s"
AFTER_OFFSETS, AFTER_MARKS = b"p", b"t"
MB = 1024 * 1024
WRITE_BUFFER_MB = 32
BLOOM_BITS = 10  # a key, each record looks up what it replaces; without them in every level of files
HEADS = 50_000  # of recently written rows in memory, and up to twice as many: 20 MB


class RecentHeads:
    """The heads of recently written rows: what a record is compared with, without reading the whole row from disk (2 us
    for the lists of 4,000 users, 8 us for those of 50,000).

    Two generations: the older one is dropped when the younger is full.
    """

    def __init__(self, keys: int) -> None:
        """Holds `keys` heads, and up to twice as many."""
        self._keys = keys
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """The head of a key's row; None if it is not here."""
        head = self._young.get(key)
        return self._old.get(key) if head is None else head

    def put_all(self, heads: Mapping[bytes, bytes]) -> None:
        """The heads of rows that are written now."""
        if len(self._young) >= self._keys:
            self._old, self._young = self._young, {}
        self._young |= heads

    def forget(self, keys: Iterable[bytes]) -> None:
        """These rows are gone."""
        for key in keys:
            self._young.pop(key, None)
            self._old.pop(key, None)

    def clear(self) -> None:
        """Forgets all."""
        self._young, self._old = {}, {}


class TableRows:
    """One folder. `get` and `items` may be called from any thread, all else from one."""

    def __init__(self, folder: Path, head: Callable[[bytes], bytes], write_buffer_mb: int = WRITE_BUFFER_MB) -> None:
        """Removes a copy that is damaged or has another format: the topic holds all of it. `head`: of a `RowRule`.
        RocksDB keeps up to `write_buffer_mb` of new rows in memory: a small one costs time where much is written, a large
        one that fills for an hour looks like a leak."""
        self._db, self.origin = _open(folder, write_buffer_mb)
        self._head, self._heads = head, RecentHeads(HEADS)
        self._rereading = self.origin is not None and self.origin.rereading
        # the topic is the log: after a kill the table is as of an earlier moment, and its offsets with it
        self._no_log = WriteOptions()
        self._no_log.disable_wal = True  # type: ignore[method-assign, assignment]  # its stub says method, it is none

    def get(self, key: bytes) -> bytes | None:
        """The row of a key."""
        row: bytes | None = self._db.get(KEY + key)
        return row

    def replaced(self, key: bytes) -> bytes | None:
        """The row that a record replaces, or its head: while the topic is read again, an old row does not count."""
        if (head := self._heads.get(key)) is not None:
            return head
        row: bytes | None = self._db.get(KEY + key)
        if row is not None and self._rereading and not self._is_marked(key):
            return None
        return row

    def items(self, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """All rows from a key on, in key order."""
        rows: Any = self._db.items(from_key=KEY + start)  # rocksdict types a row as anything; in raw mode it is bytes
        for key, row in rows:
            if not key.startswith(KEY):
                return
            yield key[1:], row

    def offsets(self) -> dict[int, int]:
        """Partition -> next offset."""
        next_offsets: dict[int, int] = {}
        rows: Any = self._db.items(from_key=OFFSET)
        for key, row in rows:
            if not key.startswith(OFFSET):
                break
            next_offsets[int(key[1:])] = int(row)
        return next_offsets

    def write(self, changes: Mapping[bytes, bytes | None], partition: int, next_offset: int) -> None:
        """The rows of some keys (None: no row) and how far their partition was read, at once."""
        batch = WriteBatch(raw_mode=True)
        for key, row in changes.items():
            if row is None:
                batch.delete(KEY + key)
            else:
                batch.put(KEY + key, row)
                if self._rereading:
                    batch.put(MARK + key, b"")
        batch.put(OFFSET + str(partition).encode(), str(next_offset).encode())
        self._db.write(batch, self._no_log)
        self._heads.forget(key for key, row in changes.items() if row is None)
        self._heads.put_all({key: self._head(row) for key, row in changes.items() if row is not None})

    def begin(self, topic_id: str | None, now_ms: int) -> None:
        """Starts a reading from the beginning of the topic. Existing rows stay until `end_reading`."""
        self._heads.clear()
        batch = WriteBatch(raw_mode=True)
        batch.delete_range(OFFSET, AFTER_OFFSETS)
        batch.delete_range(MARK, AFTER_MARKS)
        self._note(Origin(topic_id, now_ms, rereading=next(self.items(), None) is not None), batch)

    def end_reading(self) -> None:
        """Ends the reading: all rows come from it, and the marks are removed."""
        batch = WriteBatch(raw_mode=True)
        batch.delete_range(MARK, AFTER_MARKS)
        assert self.origin is not None
        self._note(msgspec.structs.replace(self.origin, rereading=False), batch)

    def complete(self, at_ms: int) -> None:
        """Notes that the rows are all that the topic held at this moment."""
        assert self.origin is not None
        self._note(msgspec.structs.replace(self.origin, complete_ms=at_ms), WriteBatch(raw_mode=True))

    def sweep(
        self, start: bytes, count: int, stale: Callable[[bytes], bool] | None = None
    ) -> tuple[list[bytes], bytes | None]:
        """Looks at `count` rows from a key on and removes those that are stale, or without `stale` those without a mark.

        Returns their keys, and the key to go on from (None: all rows were looked at).
        """
        removed, following = [], None
        for seen, (key, row) in enumerate(self.items(start)):
            if seen == count:
                following = key
                break
            if not self._is_marked(key) if stale is None else stale(row):
                removed.append(key)
        if removed:
            batch = WriteBatch(raw_mode=True)
            for key in removed:
                batch.delete(KEY + key)
            self._db.write(batch, self._no_log)
            self._heads.forget(removed)
        return removed, following

    def close(self) -> None:
        """Gives back the folder's lock."""
        self._db.close()

    def _is_marked(self, key: bytes) -> bool:
        return MARK + key in self._db

    def _note(self, origin: Origin, batch: WriteBatch) -> None:
        batch.put(NOTES, msgspec.json.encode(origin))
        self._db.write(batch, self._no_log)
        self.origin, self._rereading = origin, origin.rereading


def _open(folder: Path, write_buffer_mb: int) -> tuple[Rdict, Origin | None]:
    try:
        db = _open_files(folder, write_buffer_mb)
        notes: Any = db.get(NOTES)
        if notes is None and next(iter(db.keys()), None) is None:
            return db, None
        origin = _origin(notes)
        if origin is not None:
            return db, origin
        log.warning("%s is of another format and is made anew from the topic", folder)
        db.close()
    except Exception as error:  # rocksdict raises a plain Exception with RocksDB's words
        if "Corruption" not in str(error):
            raise
        log.warning("%s is damaged and is made anew from the topic: %s", folder, error)
    shutil.rmtree(folder)
    return _open_files(folder, write_buffer_mb), None


def _origin(notes: bytes | None) -> Origin | None:
    try:
        origin = msgspec.json.decode(notes or b"", type=Origin)
    except msgspec.MsgspecError:
        return None
    return origin if origin.format == FORMAT else None


def _open_files(folder: Path, write_buffer_mb: int) -> Rdict:
    folder.mkdir(parents=True, exist_ok=True)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    blocks = BlockBasedOptions()
    blocks.set_bloom_filter(BLOOM_BITS, block_based=False)
    options.set_block_based_table_factory(blocks)
    options.set_write_buffer_size(write_buffer_mb * MB)
    return Rdict(str(folder), options)
