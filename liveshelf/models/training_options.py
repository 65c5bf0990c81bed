"""The options that all training verbs share: data, size of the model, device."""

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
    """The sizes of a model."""

    small = "small"
    large = "large"


class Device(StrEnum):
    """The device of a training."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


EventsOption = typer.Option(None, help="JSON lines of canonical events.")
SessionsOption = typer.Option(None, help="Or: a folder with train.parquet and test.parquet; see docs/train.md.")
CatalogueOption = typer.Option(None, help="JSON lines of catalogue records; only its items are learned.")
TestShareOption = real(0.1, "events: the newest share, kept for the test.", min=0.001, max=0.999)
TestFromOption = typer.Option(None, help="events: or the test starts at this epoch ms.", min=1)
WindowOption = typer.Option(
    None, help="Newest steps that the model sees at most; default: that of its size, 28 or 50.", min=1, max=50
)
HopOption = typer.Option(
    None,
    help="Steps by which the window moves on at a time, so that the scorer can go on from kept states; default: that of "
    "its size, 14 or 1.",
    min=1,
    max=50,
)
DeviceOption = typer.Option(Device.auto, help="auto: the GPU if torch finds one, else the CPU.")


def source_of(events: Path | None, catalogue: Path | None, sessions: Path | None, verb: str) -> "TrainingData":
    """The data that the options name. Raises `LiveshelfError` if they name none or both."""
    if (events is None) == (sessions is None):
        raise LiveshelfError("either --events FILE or --sessions DIR", "both or none", f"liveshelf {verb} --help")
    from model_export.training.train_options import TrainingData

    return TrainingData(events, catalogue, sessions, load_settings().events)
