"""`liveshelf tune`: searches hyper-parameters for a shop's own data (extras `train` and `tune`)."""

from functools import partial
from pathlib import Path

import typer

from liveshelf.models.training_options import (
    CatalogueOption,
    Device,
    DeviceOption,
    EventsOption,
    SessionsOption,
    Size,
    TestFromOption,
    TestShareOption,
    WindowOption,
    source_of,
)
from liveshelf.terminal.extras import need
from liveshelf.terminal.numbers import SEEDS
from liveshelf.terminal.out_files import begins, check_out
from liveshelf.terminal.output import JsonFlag, machine, people


def run(
    events: Path = EventsOption,
    sessions: Path = SessionsOption,
    out: Path = typer.Option(..., help="TOML file of the settings; a second call continues the study beside it."),
    catalogue: Path = CatalogueOption,
    size: Size = typer.Option(Size.small, help="The model that is tuned."),
    trials: int = typer.Option(20, help="Total number of trainings, with those of earlier calls.", min=1),
    epochs: int = typer.Option(9, help="Maximum number of epochs of a trial.", min=1),
    test_share: float = TestShareOption,
    test_from: int = TestFromOption,
    window: int = WindowOption,
    device: Device = DeviceOption,
    seed: int = typer.Option(7, help="Seed of weights, batches, drawn questions and points.", min=0, max=SEEDS),
    json: bool = JsonFlag,
) -> None:
    """Searches on the window before the test and writes a file for `liveshelf train --settings`.

    Example: liveshelf tune --events events.jsonl --out mine.toml --trials 20
    """
    need("torch", "optuna")
    check_out(out, "file of this verb", begins(b"# liveshelf tune"))
    source = source_of(events, catalogue, sessions, "tune")
    from model_export.training.process_group import ProcessGroup, device_of
    from model_export.training.train_options import TrainOptions
    from model_export.training.tuning import tune

    options = TrainOptions(size=size, test_share=test_share, test_from=test_from, window=window, seed=seed)
    group = ProcessGroup(device=device_of(device))
    log = partial(people.print, soft_wrap=True)
    result = tune(source, out, options, trials=trials, epochs=epochs, log=log, group=group)
    if json:
        machine(result)
        return
    people.print(
        f"{out}: validation MRR@20 {result['validation_mrr20']} after {result['trials']} trials "
        f"({result['stopped_early']} stopped early); {result['without_search']} without the search"
    )
