"""The options of a training, and the split and hyper-parameters that follow from them."""

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
    """The training data: `events` (and maybe `catalogue`), decoded with `limits`, or a folder of `sessions`."""

    events: Path | None = None
    catalogue: Path | None = None
    sessions: Path | None = None
    limits: EventSettings = DEFAULTS

    @property
    def name(self) -> str:
        """The name of the folder or file, for people."""
        return (self.sessions or self.events or Path("?")).name

    def files(self) -> list[Path]:
        """All files of the data."""
        if self.sessions is not None:
            return [self.sessions / "train.parquet", self.sessions / "test.parquet"]
        return [file for file in (self.events, self.catalogue) if file is not None]


@dataclass(frozen=True)
class TrainOptions:
    """The options of split and training; `fit` None: the hyper-parameters of the size (`sizes.SIZES`).

    `epochs` None: a search on the validation window before the test finds the number of epochs, and the dropout if it is
    None too. Else there is no search.
    """

    name: str = "small"
    size: str = "small"
    test_share: float = 0.1
    test_from: int | None = None
    min_count: int = 3
    epochs: int | None = None
    dropout: float | None = None
    window: int | None = None
    hop: int | None = None
    session: float | None = None
    search: float | None = None
    rating: float | None = None
    lora_rank: int | None = None
    heads: bool | None = None
    encoder_from: Path | None = None  # `adapters.write_encoder`
    encoder_out: Path | None = None
    seed: int = 7
    fit: FitOptions | None = None

    def fit_options(self) -> FitOptions:
        """The hyper-parameters of the training. Raises `LiveshelfError` if the hop is longer than the window."""
        names = ("dropout", "window", "hop", "session", "search", "rating", "lora_rank", "heads")
        overrides: dict[str, Any] = {name: value for name in names if (value := getattr(self, name)) is not None}
        fit_options = replace(self.fit or SIZES[self.size], seed=self.seed, **overrides)
        if self.hop is None:  # that of a size belongs to its window
            return replace(fit_options, hop=min(fit_options.hop, -(-fit_options.window // 2)))
        if self.hop > fit_options.window:
            raise LiveshelfError(f"--hop of 1 to {fit_options.window}, the window", f"{self.hop}", "give a smaller one")
        return fit_options

    def with_settings(self, file: Path) -> "TrainOptions":
        """These options with the hyper-parameters of a file of `liveshelf tune`; options that were given override the file.

        Raises `LiveshelfError` if the file cannot be read or has an unknown setting.
        """
        try:
            values = tomllib.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise LiveshelfError(
                "settings in TOML", f"{file}: {error}", "see docs/train.md, `liveshelf tune`"
            ) from error
        types = {field.name: field.type for field in fields(FitOptions)}
        for name, value in values.items():
            if name not in types:
                raise LiveshelfError(f"one of {', '.join(types)}", f"{name} in {file}", "take it out, or name it right")
            if type(value) is not types[name] and (types[name], type(value)) != (float, int):
                raise LiveshelfError(f"a value as {types[name]}", f"{name} = {value!r} in {file}", "correct it")
        if "window" in values:
            values = {"hop": 1} | values  # a file from before the hop
        fit = replace(self.fit or SIZES[self.size], **values)
        # values of the file are neither searched nor derived from the data
        return replace(
            self, fit=fit, epochs=self.epochs or values.get("epochs"), window=self.window or values.get("window")
        )


def settings_text(fit_options: FitOptions, remark: str) -> str:
    """All hyper-parameters except the seed as TOML for `with_settings`; a later change of defaults does not affect the file."""
    values = {name: value for name, value in asdict(fit_options).items() if name != "seed"}
    # a scalar's JSON is its TOML
    return f"# {remark}\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


def split_of(source: TrainingData, options: TrainOptions) -> tuple[Split, TrainOptions]:
    """Reads and splits the data. Sets the window in the options by the length of the sessions, if none was given.

    Raises `EventsFileError` if the data cannot be read, fails its tests or is too small.
    """
    if source.sessions is not None:
        session_set = read_sessions(source.sessions, source.limits)
        if options.window is None:
            size = options.fit_options()
            usual = (
                size.window if size.hop == 1 else FitOptions().window
            )  # sessions are short: their windows need no hop
            options = replace(options, window=window_for(session_set.train, usual), hop=options.hop or 1)
        fit_options = options.fit_options()
        return of_sessions(session_set, fit_options.window, fit_options.hop), options
    assert source.events is not None
    split = of_events(
        source.events,
        source.catalogue,
        test_share=options.test_share,
        test_from=options.test_from,
        min_count=options.min_count,
        seed=options.seed,
        window=options.fit_options().window,
        hop=options.fit_options().hop,
        limits=source.limits,
    )
    return split, options
