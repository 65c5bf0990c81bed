"""`liveshelf tune`: hyper-parameters for a shop's own data (extras `train` and `tune`)."""

from functools import partial
from pathlib import Path

import typer

from pipelines.cli.output import JsonFlag, machine, people
from pipelines.cli.train import Size, need_torch, need_tune, source_of


def run(
    events: Path = typer.Option(None, help="JSON lines of canonical events."),
    sessions: Path = typer.Option(None, help="Or: a folder with train.parquet and test.parquet; see docs/train.md."),
    out: Path = typer.Option(..., help="The settings, TOML; beside it the study, which a second call goes on with."),
    catalogue: Path = typer.Option(None, help="JSON lines of catalogue records; only its items are learned."),
    size: Size = typer.Option(Size.small, help="The model that is tuned."),
    trials: int = typer.Option(20, help="Trainings in all, those of earlier calls counted.", min=1),
    epochs: int = typer.Option(9, help="At most so many in a trial.", min=1),
    test_share: float = typer.Option(0.1, help="events: newest share that is kept for the test, and not looked at."),
    test_from: int = typer.Option(None, help="events: or the test starts at this epoch ms."),
    window: int = typer.Option(None, help="As in `liveshelf train`.", min=1, max=50),
    seed: int = typer.Option(7, help="Of weights, batches, drawn questions and points."),
    json: bool = JsonFlag,
) -> None:
    """Searches on the window before the test; what it finds is for `liveshelf train --settings`.

    Example: liveshelf tune --events events.jsonl --out mine.toml --trials 20
    """
    need_torch()
    need_tune()
    source = source_of(events, catalogue, sessions, "tune")
    from model_export.training.train_options import TrainOptions
    from model_export.training.tuning import tune

    options = TrainOptions(size=size, test_share=test_share, test_from=test_from, window=window, seed=seed)
    found = tune(source, out, options, trials=trials, epochs=epochs, log=partial(people.print, soft_wrap=True))
    if json:
        machine(found)
        return
    people.print(
        f"{out}: validation MRR@20 {found['validation_mrr20']} after {found['trials']} trials "
        f"({found['stopped_early']} stopped early); {found['without_search']} without the search"
    )
