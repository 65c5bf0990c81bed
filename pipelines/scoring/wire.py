"""The messages between the operator and its scorer process: msgpack, length-prefixed, over a pair of Unix sockets.

The operator speaks first. The process answers the handshake, and each batch that has requests, in their order; the operator
may send the next batch meanwhile.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from operators.errors import StackError
from operators.experiments.plan import ExperimentPlan
from operators.exploration.pool import Pool
from operators.lists.encoded_list import Encoded
from operators.lists.request import Request

PROTOCOL = 6  # one more with each change of a message or of a user's state: job and service may be of two releases
LARGEST = 256 * 2**20  # bytes of a message: a micro-batch has some MB; only a broken process sends more
TARGET_FILE = "scorer-{subtask}.json"  # of the handshake: by which Prometheus finds the process
CHUNK_RECORDS, CHUNK_BYTES = 5_000, 4 * 2**20  # of the catalogue in a message; one record may be larger


class Handshake(msgspec.Struct, array_like=True, tag=PROTOCOL):
    """First message: what the process needs to start. `subtask`: its number, or "shared"; `journal`: the file of its crash
    journal. The protocol is its first element, in every release."""

    settings: dict[str, Any]
    bundle: str
    subtask: str
    journal: str


class Ready(msgspec.Struct, array_like=True):
    """Answer to `Handshake`: where the model runs and why there; or why the bundle is `refused`; or, as expected, came and
    fix of a `StackError`, what the machine lacks. Every release reads it: fields are only added, at its end."""

    provider: str = ""
    provider_reason: str = ""
    refused: str = ""
    lacks: tuple[str, str, str] | None = None

    @property
    def failed(self) -> bool:
        """Whether the process cannot score."""
        return bool(self.refused or self.lacks)


def ready_lacking(error: StackError) -> Ready:
    """The answer that raises this error in the operator."""
    return Ready(lacks=(error.expected, error.came, error.fix))


CatalogueChange = tuple[str, bytes | None]
"""An item id and its record; `DELISTED` for a tombstone, `NO_RECORD` where the topic no longer has a record."""

DELISTED, NO_RECORD = None, b""


PackedOrders = tuple[bytes, bytes]
"""Places (row - 1) of popular and of trending items, best first: int32, little-endian."""


class Batch(msgspec.Struct, array_like=True):
    """A micro-batch, and what comes before it: catalogue changes, the newest orders of items, the experiments that run now, and the
    newest pool of what is explored (None: as they were). Without requests it has no answer."""

    requests: list[Request]
    catalogue: list[CatalogueChange]
    orders: PackedOrders | None = None
    experiments: tuple[ExperimentPlan, ...] | None = None
    pool: Pool | None = None


def chunks(records: Iterable[CatalogueChange]) -> Iterator[list[CatalogueChange]]:
    """Catalogue records in messages of a bounded size: a record may have a megabyte."""
    chunk: list[CatalogueChange] = []
    size = 0
    for key, value in records:
        chunk.append((key, value))
        size += len(value or b"")
        if len(chunk) >= CHUNK_RECORDS or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


class BatchAnswer(msgspec.Struct, array_like=True):
    """For each request a list, or the error as text.

    When the process began the batch, and when the model answered (epoch s).
    """

    started_at: float
    scored_at: float
    lists: list[Encoded | str]


class _FirstElement(msgspec.Struct, array_like=True):
    protocol: int


_first_element_of = msgspec.msgpack.Decoder(_FirstElement).decode
_handshake_of = msgspec.msgpack.Decoder(Handshake).decode


def handshake_of(message: bytes | bytearray) -> Handshake:
    """Raises `StackError` where the job speaks another protocol, `MsgspecError` where it is no handshake."""
    protocol = _first_element_of(message).protocol
    if protocol != PROTOCOL:
        raise StackError(
            "a job and a scorer service of one release",
            f"a job with protocol {protocol} and a service with protocol {PROTOCOL}",
            f"start the {'job' if protocol < PROTOCOL else 'service'} from the newer release",
        )
    return _handshake_of(message)


pack = msgspec.msgpack.Encoder().encode
ready_of = msgspec.msgpack.Decoder(Ready).decode
batch_of = msgspec.msgpack.Decoder(Batch).decode
answer_of = msgspec.msgpack.Decoder(BatchAnswer).decode
