"""What a person may say about a training, and the split and hyper-parameters that follow from it."""

import json
import tomllib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from model_export.data.dataset import DEFAULTS
from model_export.data.sessions import read_sessions
from model_export.data.splits import Split, of_events, of_sessions
from model_export.data.windows import window_for
from model_export.training.fit_options import FitOptions
from model_export.training.sizes import SIZES
from operators.configuration.shop_settings import EventSettings
from operators.errors import LiveshelfError


@dataclass(frozen=True)
class TrainingData:
    """Where the data is: `events` (and maybe `catalogue`) that keep to `limits`, or else `sessions`, a folder."""

    events: Path | None = None
    catalogue: Path | None = None
    sessions: Path | None = None
    limits: EventSettings = DEFAULTS

    @property
    def name(self) -> str:
        """Of the folder or the file, for people."""
        return (self.sessions or self.events or Path("?")).name

    def files(self) -> list[Path]:
        """All files of it."""
        if self.sessions is not None:
            return [self.sessions / "train.parquet", self.sessions / "test.parquet"]
        return [file for file in (self.events, self.catalogue) if file is not None]


@dataclass(frozen=True)
class TrainOptions:
    """How the events are split and the model is trained; `fit` None: as its size says (`sizes.SIZES`).

    `epochs` None: their number, and the dropout where it is None too, are found on a validation window before the test;
    else exactly so many, without that search.
    """

    name: str = "small"
    size: str = "small"
    test_share: float = 0.1
    test_from: int | None = None
    min_count: int = 3
    epochs: int | None = None
    dropout: float | None = None
    window: int | None = None
    session: float | None = None
    search: float | None = None
    rating: float | None = None
    lora_rank: int | None = None
    heads: bool | None = None
    encoder_from: Path | None = None  # `adapters.write_encoder`
    encoder_out: Path | None = None
    seed: int = 7
    fit: FitOptions | None = None

    def fitting(self) -> FitOptions:
        """The hyper-parameters."""
        names = ("dropout", "window", "session", "search", "rating", "lora_rank", "heads")
        named: dict[str, Any] = {name: value for name in names if (value := getattr(self, name)) is not None}
        return replace(self.fit or SIZES[self.size], seed=self.seed, **named)

    def with_settings(self, file: Path) -> "TrainOptions":
        """With the hyper-parameters of a file of `liveshelf tune`; what was given beside it stays.

        Raises `LiveshelfError` where the file cannot be read or holds a setting that there is not.
        """
        try:
            values = tomllib.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise LiveshelfError(
                "settings in TOML", f"{file}: {error}", "see docs/train.md, `liveshelf tune`"
            ) from error
        kinds = {field.name: field.type for field in fields(FitOptions)}
        for name, value in values.items():
            if name not in kinds:
                raise LiveshelfError(f"one of {', '.join(kinds)}", f"{name} in {file}", "take it out, or name it right")
            if type(value) is not kinds[name] and (kinds[name], type(value)) != (float, int):
                raise LiveshelfError(f"a value as {kinds[name]}", f"{name} = {value!r} in {file}", "correct it")
        fit = replace(self.fit or SIZES[self.size], **values)
        # what the file says is neither searched nor derived from the data
        return replace(
            self, fit=fit, epochs=self.epochs or values.get("epochs"), window=self.window or values.get("window")
        )


def settings_text(fitting: FitOptions, remark: str) -> str:
    """All hyper-parameters but the seed in TOML, which `with_settings` reads; defaults that change later change nothing."""
    values = {name: value for name, value in asdict(fitting).items() if name != "seed"}
    # a scalar's JSON is its TOML
    return f"# {remark}\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


def split_of(source: TrainingData, options: TrainOptions) -> tuple[Split, TrainOptions]:
    """The data, split, and the options with the window that its sessions ask for where none was given.

    Raises `EventsFileError` where the data cannot be read, fails its tests or is too little.
    """
    if source.sessions is not None:
        read = read_sessions(source.sessions, source.limits)
        if options.window is None:
            options = replace(options, window=window_for(read.train, options.fitting().window))
        return of_sessions(read, options.fitting().window), options
    assert source.events is not None
    split = of_events(
        source.events,
        source.catalogue,
        test_share=options.test_share,
        test_from=options.test_from,
        min_count=options.min_count,
        seed=options.seed,
        window=options.fitting().window,
        limits=source.limits,
    )
    return split, options
