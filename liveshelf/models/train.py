"""`liveshelf train`: trains a bundle on a shop's own events or on session files (extra `train`)."""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import typer

from liveshelf.models.train_follow import follow as follow_topics
from liveshelf.models.train_follow import refuse_others
from liveshelf.models.training_options import (
    CatalogueOption,
    Device,
    DeviceOption,
    EventsOption,
    HopOption,
    SessionsOption,
    Size,
    TestFromOption,
    TestShareOption,
    WindowOption,
    source_of,
)
from liveshelf.terminal.extras import need
from liveshelf.terminal.numbers import SEEDS, real
from liveshelf.terminal.option_groups import with_groups
from liveshelf.terminal.out_files import begins, check_out
from liveshelf.terminal.output import JsonFlag, machine, people, table
from operators.errors import LiveshelfError
from operators.settings import load_settings


@dataclass(frozen=True)
class DataOptions:
    """The training data."""

    events: Path = EventsOption
    sessions: Path = SessionsOption
    catalogue: Path = CatalogueOption


@dataclass(frozen=True)
class ModelOptions:
    """The fields of `train_options.TrainOptions`, under the same names."""

    size: Size = typer.Option(Size.small, help="small serves from a CPU, large from a GPU.")
    name: str = typer.Option(None, help="Name of the model; default: its size.")
    test_share: float = TestShareOption
    test_from: int = TestFromOption
    epochs: int = typer.Option(None, help="Number of epochs; default: the best on a validation window.", min=1)
    dropout: float = real(None, "Default: 0.5, 0.3 or 0.15, the best on the validation window.", min=0, max=0.9)
    window: int = WindowOption
    hop: int = HopOption
    session: float = real(None, "Weight of the session task; default: 0, not learned.", "--session-weight", min=0)
    search: float = real(None, "Weight of the search task; default: 0.", "--search-weight", min=0)
    rating: float = real(None, "Weight of the rating task; default: 0.", "--rating-weight", min=0)
    encoder_out: Path = typer.Option(None, help="Writes the encoder's weights (.npz) for another shop's training.")
    encoder_from: Path = typer.Option(None, help="Starts from this encoder.")
    lora_rank: int = typer.Option(
        None, help="With --encoder-from: freezes the encoder and learns adapters of this rank (LoRA).", min=1
    )
    heads: bool = typer.Option(
        None, "--heads/--no-heads", help="Copy head and transition head beside the encoder; default: with them."
    )
    seed: int = typer.Option(7, help="Seed of weights, batches and drawn questions.", min=0, max=SEEDS)


@with_groups
def run(
    context: typer.Context,
    data: DataOptions,
    model: ModelOptions,
    out: Path = typer.Option(None, help="Folder of the new bundle."),
    settings_file: Path = typer.Option(
        None,
        "--settings",
        help="Hyper-parameters in TOML, as `liveshelf tune` writes them; flags override it.",
    ),
    tensorboard: Path = typer.Option(
        None, help="Folder for scalars and the item space, for `tensorboard --logdir` (extra `report`)."
    ),
    follow: bool = typer.Option(
        False,
        "--follow",
        help="Trains on what the topics bring, until stopped: docs/learning.md and the settings' table `trainer`.",
    ),
    device: Device = DeviceOption,
    json: bool = JsonFlag,
) -> None:
    """Trains a model, compares it with the baselines, exports and verifies a bundle.

    Example: liveshelf train --events events.jsonl --out bundles/mine
    On several GPUs, a process each: torchrun --no-python --nproc-per-node 2 liveshelf train …
    """
    need("torch")
    if follow:
        refuse_others(context)
        follow_topics(load_settings())
        return
    if out is None:
        raise LiveshelfError("--out FOLDER for the bundle", "none", "liveshelf train --help")
    source = source_of(data.events, data.catalogue, data.sessions, "train")
    if model.lora_rank is not None and model.encoder_from is None:
        raise LiveshelfError("an encoder for the adapters", "--lora-rank alone", "name one with --encoder-from")
    check_out(model.encoder_out, "encoder", begins(b"PK"))
    if tensorboard is not None:
        need("matplotlib", "tensorboard")
    from deploy.local.layout import Layout
    from model_export.training.train_options import TrainOptions
    from model_export.training.watched_training import Watch, train_watched
    from pipelines.provenance.lineage import TrainingLineage

    settings = load_settings()
    options = TrainOptions(**asdict(model) | {"name": model.name or model.size})
    if settings_file is not None:
        options = options.with_settings(settings_file)
    targets = Layout.of(settings).targets
    watch = Watch(
        log=partial(people.print, soft_wrap=True),
        metrics_port=settings.trainer.metrics_port,
        targets=targets / "trainer.json" if targets.is_dir() else None,  # else no local stack watches
        lineage=partial(TrainingLineage, settings),
        tensorboard=tensorboard,
    )
    manifest = train_watched(source, out, options, device, watch)
    if manifest is None:
        return
    if json:
        machine(manifest)
        return
    _show(manifest, out)


def _show(manifest: dict[str, Any], out: Path) -> None:
    """Prints the test metrics of the model and of the baselines."""
    test_metrics = manifest["metrics"]["test"]
    names = list(next(iter(test_metrics.values())))
    table(
        f"test: {manifest['metrics']['questions']} questions, all {manifest['items']} items ranked",
        ("model", *names),
        [(name, *(f"{metrics[n]:.4f}" for n in names)) for name, metrics in test_metrics.items()],
    )
    people.print(f"bundle {out}: {manifest['name']} {manifest['version']}, best: {manifest['metrics']['best']}")
