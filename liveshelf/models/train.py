"""`liveshelf train`: a bundle from a shop's own events, or from session files (extra `train`)."""

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from liveshelf.terminal.extras import need
from liveshelf.terminal.numbers import SEEDS, real
from liveshelf.terminal.out_files import begins, check_out
from liveshelf.terminal.output import JsonFlag, machine, people, table
from operators.errors import LiveshelfError
from operators.settings import load_settings

if TYPE_CHECKING:
    from model_export.training.crew import Crew
    from model_export.training.train_options import Source, TrainOptions


EventsOption = typer.Option(None, help="JSON lines of canonical events.")
SessionsOption = typer.Option(None, help="Or: a folder with train.parquet and test.parquet; see docs/train.md.")
CatalogueOption = typer.Option(None, help="JSON lines of catalogue records; only its items are learned.")
TestShareOption = real(0.1, "events: newest share that is kept for the test.", min=0.001, max=0.999)
TestFromOption = typer.Option(None, help="events: or the test starts at this epoch ms.", min=1)
WindowOption = typer.Option(
    None, help="Newest steps that the model sees; default: its size's, 20 or 50.", min=1, max=50
)


class Size(StrEnum):
    """Sizes of a model."""

    small = "small"
    large = "large"


class Device(StrEnum):
    """Where a training computes."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


DeviceOption = typer.Option(Device.auto, help="auto: the GPU where torch finds one.")


def source_of(events: Path | None, catalogue: Path | None, sessions: Path | None, verb: str) -> "Source":
    """The data that was named. Raises `LiveshelfError` where none or both were."""
    if (events is None) == (sessions is None):
        raise LiveshelfError("either --events FILE or --sessions DIR", "both or none", f"liveshelf {verb} --help")
    from model_export.training.train_options import Source

    return Source(events, catalogue, sessions, load_settings().events)


def run(
    events: Path = EventsOption,
    sessions: Path = SessionsOption,
    out: Path = typer.Option(..., help="Folder of the new bundle."),
    catalogue: Path = CatalogueOption,
    size: Size = typer.Option(Size.small, help="small serves from a CPU, large from a GPU."),
    name: str = typer.Option(None, help="Name of the model; default: its size."),
    test_share: float = TestShareOption,
    test_from: int = TestFromOption,
    epochs: int = typer.Option(
        None, help="Exactly so many; default: as many as a validation window finds best.", min=1
    ),
    dropout: float = real(None, "Default: 0.5, 0.3 or 0.15, as the validation window finds best.", min=0, max=0.9),
    window: int = WindowOption,
    session_weight: float = real(None, "Of the session task beside the next item; default: 0, not learned.", min=0),
    search_weight: float = real(None, "Of the search task; default: 0.", min=0),
    rating_weight: float = real(None, "Of the rating task; default: 0.", min=0),
    tensorboard: Path = typer.Option(
        None, help="Writes scalars and the item space there, for `tensorboard --logdir` (extra `report`)."
    ),
    settings_file: Path = typer.Option(
        None,
        "--settings",
        help="Hyper-parameters in TOML, as `liveshelf tune` writes them; flags beside it count more.",
    ),
    encoder_out: Path = typer.Option(
        None, help="Keeps the encoder's weights there (.npz), for another shop's training."
    ),
    encoder_from: Path = typer.Option(None, help="Begins with such an encoder."),
    lora_rank: int = typer.Option(
        None, help="With it: the encoder stays, adapters of this rank are learned beside it (LoRA).", min=1
    ),
    heads: bool = typer.Option(
        None, "--heads/--no-heads", help="Steps and followers compete with the encoder's items; default: they do."
    ),
    device: Device = DeviceOption,
    seed: int = typer.Option(7, help="Of weights, batches and drawn questions.", min=0, max=SEEDS),
    json: bool = JsonFlag,
) -> None:
    """Trains, evaluates beside the baselines, exports and verifies a bundle.

    Example: liveshelf train --events events.jsonl --out bundles/mine
    On several GPUs, a process each: torchrun --no-python --nproc-per-node 2 liveshelf train …
    """
    need("torch")
    source = source_of(events, catalogue, sessions, "train")
    if lora_rank is not None and encoder_from is None:
        raise LiveshelfError("an encoder for the adapters", "--lora-rank alone", "name one with --encoder-from")
    check_out(encoder_out, "encoder", begins(b"PK"))
    if tensorboard is not None:
        need("matplotlib", "tensorboard")
    from model_export.training.crew import joined
    from model_export.training.train import train
    from model_export.training.train_options import TrainOptions

    options = TrainOptions(
        name=name or size,
        size=size,
        test_share=test_share,
        test_from=test_from,
        epochs=epochs,
        dropout=dropout,
        window=window,
        session=session_weight,
        search=search_weight,
        rating=rating_weight,
        lora_rank=lora_rank,
        heads=heads,
        encoder_from=encoder_from,
        encoder_out=encoder_out,
        seed=seed,
    )
    if settings_file is not None:
        options = options.with_settings(settings_file)
    with joined(device) as crew:
        if crew.rank:  # the first process says, keeps, tests and exports
            train(source, out, options, log=lambda _: None, crew=crew)
            return
        manifest = _watched(source, out, options, tensorboard, crew)
    if json:
        machine(manifest)
        return
    tested = manifest["metrics"]["test"]
    names = list(next(iter(tested.values())))
    table(
        f"test: {manifest['metrics']['questions']} questions, all {manifest['items']} items ranked",
        ("model", *names),
        [(model, *(f"{found[n]:.4f}" for n in names)) for model, found in tested.items()],
    )
    people.print(f"bundle {out}: {manifest['name']} {manifest['version']}, best: {manifest['metrics']['best']}")


def _watched(
    source: "Source", out: Path, options: "TrainOptions", tensorboard: Path | None, crew: "Crew"
) -> dict[str, Any]:
    """Trains, watched by Prometheus and, where asked for, TensorBoard, with its lineage told."""
    from deploy.local.layout import Layout
    from model_export.training.train import train
    from model_export.training.train_metrics import TrainMetrics
    from pipelines.provenance.lineage import Told

    settings = load_settings()
    layout = Layout.of(settings)
    targets = layout.targets / "trainer.json" if layout.targets.is_dir() else None  # else no local stack watches
    metrics = TrainMetrics(settings.trainer.metrics_port, targets)
    told = Told(settings, [file for file in source.files() if file.is_file()])
    told_to = {"log": partial(people.print, soft_wrap=True), "report": metrics.report, "lineage": told.facts}
    board = None
    if tensorboard is not None:
        from model_export.training.tensorboard_log import TensorBoardLog

        board = TensorBoardLog(tensorboard, metrics.report)
        told_to |= {"report": board.report, "show": board.items}
    try:
        manifest = train(source, out, options, crew=crew, **told_to)
    except BaseException as error:
        told.failed(error)
        raise
    finally:
        metrics.close()
        if board is not None:
            board.close()
    told.made(manifest)
    return manifest
