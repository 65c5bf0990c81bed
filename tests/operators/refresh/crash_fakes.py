"""What the crash simulation needs around the kernel: lists that say who made them, silent sensors, what a checkpoint keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from operators.configuration.shop_settings import ExperimentSettings
from operators.experiments.assignment import Experiments
from operators.lists.encoded_list import Encoded, ListEncoder, Slate
from operators.lists.request import Request
from operators.records.contracts import Model
from operators.refresh.micro_batcher import MicroBatcher, NullSensors
from operators.refresh.refresh_records import Turn
from operators.shopper.user_state import order_of
from tests.builders import NOW_MS


class Lists:
    """Names who made a list; what is on it does not matter here."""

    def __init__(self) -> None:
        self._encoder = ListEncoder(Model("m", "1"), Experiments(ExperimentSettings()), 0)

    def make(self, request: Request, source: Any = "model") -> Encoded:
        return self._encoder.encode(request, order_of(request.state), Slate(source, b"[]"), NOW_MS)

    def encoded_fallback(self, request: Request, *, with_digest: bool) -> Encoded:
        return self.make(request, "popular")


class Sensors(NullSensors):
    def on_record(self, outcome: str) -> None: ...
    def on_dead_letter(self, reason: str) -> None: ...
    def on_event(self, event: Any, version: int) -> None: ...

    def on_lists(self, lists: Sequence[tuple[Encoded, Request]], emitted_s: float) -> None: ...
    def on_fallback(self, cause: str) -> None: ...
    def on_rewritten(self) -> None: ...
    def on_own_error(self, where: str) -> None:
        assert where == "submit", where


class Batcher(MicroBatcher[Request, Encoded]):
    """One whose `submit` may refuse, as in a hang, or raise, as a bug would."""

    fault: str | None = None

    def submit(self, requests: Mapping[str, Request]) -> list[str]:
        if self.fault == "raises":
            raise RuntimeError("a bug")
        return list(requests) if self.fault else super().submit(requests)


@dataclass
class Kept:
    """What a checkpoint holds."""

    position: int = 0
    states: dict[str, bytes] = field(default_factory=dict)
    promises: list[str] = field(default_factory=list)
    buffered: list[Turn] = field(default_factory=list)  # read or fired, and not handed to the logic yet
    outputs: int = 0
