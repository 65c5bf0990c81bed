"""Options that the verbs which train have in common: where the data is, the model's size, the device."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from liveshelf.terminal.numbers import real
from operators.errors import LiveshelfError
from operators.settings import load_settings

if TYPE_CHECKING:
    from model_export.training.train_options import TrainingData


class Size(StrEnum):
    """Sizes of a model."""

    small = "small"
    large = "large"


class Device(StrEnum):
    """Where a training computes."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


EventsOption = typer.Option(None, help="JSON lines of canonical events.")
SessionsOption = typer.Option(None, help="Or: a folder with train.parquet and test.parquet; see docs/train.md.")
CatalogueOption = typer.Option(None, help="JSON lines of catalogue records; only its items are learned.")
TestShareOption = real(0.1, "events: newest share that is kept for the test.", min=0.001, max=0.999)
TestFromOption = typer.Option(None, help="events: or the test starts at this epoch ms.", min=1)
WindowOption = typer.Option(
    None, help="Newest steps that the model sees; default: its size's, 20 or 50.", min=1, max=50
)
DeviceOption = typer.Option(Device.auto, help="auto: the GPU where torch finds one.")


def source_of(events: Path | None, catalogue: Path | None, sessions: Path | None, verb: str) -> "TrainingData":
    """The data that was named. Raises `LiveshelfError` where none or both were."""
    if (events is None) == (sessions is None):
        raise LiveshelfError("either --events FILE or --sessions DIR", "both or none", f"liveshelf {verb} --help")
    from model_export.training.train_options import TrainingData

    return TrainingData(events, catalogue, sessions, load_settings().events)
