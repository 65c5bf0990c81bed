"""What an operator asks its scorer process, and a catalogue of eight items."""

from collections.abc import Callable

import msgspec

from operators.lists.encoded_list import Encoded
from operators.lists.request import Request
from operators.records.contracts import CatalogueItem
from pipelines.scoring.process import ScorerProcess
from tests.builders import NOW_MS, viewed

Start = Callable[..., ScorerProcess]


def asked(*users: str, item: str = "i2") -> list[Request]:
    return [Request(user, viewed(item), NOW_MS, "e0", None) for user in users]


def ask(process: ScorerProcess, requests: list[Request]) -> list[Encoded | Exception]:
    """The lists of one batch, from a process that is started again where it was lost."""
    process.prepare()
    process.send(requests)
    return received(process)


def received(process: ScorerProcess) -> list[Encoded | Exception]:
    """The lists of the oldest batch that has no answer yet."""
    while (results := process.receive(60)) is None:
        pass
    return results


def items_of(made: Encoded | Exception) -> list[str]:
    assert isinstance(made, Encoded), made
    return [place["item_id"] for place in msgspec.json.decode(made.value)["items"]]


def pid_of(process: ScorerProcess) -> int:
    return process._link.pid


class Table(dict[str, bytes]):
    """Stands for the compacted table: rows by key; counts how often all are read."""

    read = 0

    def row(self, key: str) -> bytes | None:
        return self.get(key)

    def rows(self):
        self.read += 1
        return self.items()


def eight_items(*, without: int = 0) -> Table:
    return Table(
        {f"i{n}": msgspec.json.encode(CatalogueItem(item_id=f"i{n}", in_stock=n != without)) for n in range(1, 9)}
    )


known = frozenset(eight_items()).__contains__
