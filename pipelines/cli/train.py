"""`liveshelf train`: a bundle from a shop's own events (extra `train`)."""

from pathlib import Path

import typer

from operators.errors import LiveshelfError
from operators.settings import load_settings
from pipelines.cli.output import JsonFlag, machine, people, table


def run(
    events: Path = typer.Option(..., help="JSON lines of canonical events."),
    out: Path = typer.Option(..., help="Folder of the new bundle."),
    catalogue: Path = typer.Option(None, help="JSON lines of catalogue records; only its items are learned."),
    name: str = typer.Option("small-gru", help="Name of the model."),
    test_share: float = typer.Option(0.1, help="Newest share of the events that is kept for the test."),
    test_from: int = typer.Option(None, help="Or: the test starts at this epoch ms."),
    epochs: int = typer.Option(12, help="At most so many."),
    json: bool = JsonFlag,
) -> None:
    """Trains, evaluates against popularity, Markov and VMIS-kNN, exports and verifies a bundle.

    Example: liveshelf train --events events.jsonl --out bundles/mine
    """
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise LiveshelfError(
            "the extra `train` (torch)", "a base install", "make train-deps, or pip install 'liveshelf[train]'"
        ) from error
    from deploy.local.layout import Layout
    from model_export.train import TrainOptions, train
    from model_export.train_metrics import TrainMetrics
    from pipelines.lineage import Told

    settings = load_settings()
    layout = Layout.of(settings)
    targets = layout.targets / "trainer.json" if layout.targets.is_dir() else None  # else no local stack watches
    metrics = TrainMetrics(settings.trainer.metrics_port, targets)
    options = TrainOptions(name=name, test_share=test_share, test_from=test_from, epochs=epochs)
    told = Told(settings, [file for file in (events, catalogue) if file is not None])
    try:
        manifest = train(events, catalogue, out, options, people.print, metrics.report, told.facts)
    except BaseException as error:
        told.failed(error)
        raise
    finally:
        metrics.close()
    told.made(manifest)
    if json:
        machine(manifest)
        return
    metrics = manifest["metrics"]["test"]
    names = list(next(iter(metrics.values())))
    table(
        f"test: {manifest['metrics']['questions']} questions, all {manifest['items']} items ranked",
        ("model", *names),
        [(model, *(f"{found[n]:.4f}" for n in names)) for model, found in metrics.items()],
    )
    people.print(f"bundle {out}: {manifest['name']} {manifest['version']}, best: {manifest['metrics']['best']}")
