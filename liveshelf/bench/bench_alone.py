"""The benchmarks of `liveshelf bench` that need no stack: scorer, training, the operator's metrics; and the comparison
of two results."""

from pathlib import Path

import typer

from liveshelf.bench.result import BundleOption, KeepOption, report_result
from liveshelf.models.training_options import (
    CatalogueOption,
    Device,
    DeviceOption,
    EventsOption,
    SessionsOption,
    Size,
    WindowOption,
    source_of,
)
from liveshelf.terminal.extras import need
from liveshelf.terminal.numbers import ABOVE_0, number_list, real
from liveshelf.terminal.output import JsonFlag, machine, people, table
from operators.errors import LiveshelfError


def train(
    items: int = typer.Option(20_000, help="Size of the catalogue.", min=1),
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Measures training steps a second of both sizes. Needs the extra `train`.

    Example: liveshelf bench train --items 20000
    """
    from benchmarks.models.train import measure

    with people.status("training"):
        result = measure(items)
    report_result(result, keep, json)


def tasks(
    events: Path = typer.Option(..., help="JSON lines of canonical events."),
    catalogue: Path = typer.Option(None, help="JSON lines of catalogue records; titles teach the search task."),
    test_from: int = typer.Option(None, help="The test starts at this epoch ms; default: the newest tenth.", min=1),
    epochs: int = typer.Option(6, help="Epochs of each training.", min=1),
    dropout: float = real(0.5, "Dropout rate.", min=0, max=0.9),
    seeds: int = typer.Option(3, help="Trainings of each kind.", min=1),
    session: float = real(0.3, "Weight of the session task.", min=0),
    search: float = real(0.2, "Weight of the search task.", min=0),
    rating: float = real(0.3, "Weight of the rating task.", min=0),
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Compares each task of the model trained alone with all tasks trained jointly. Needs the extra `train`.

    Example: liveshelf bench tasks --events events.jsonl --catalogue catalogue.jsonl
    """
    from benchmarks.models.tasks import measure

    weights = {"session": session, "search": search, "rating": rating}
    result = measure(
        events, catalogue, test_from=test_from, epochs=epochs, dropout=dropout, seeds=seeds, weights=weights
    )
    report_result(result, keep, json)


def seeds(
    sessions: Path = SessionsOption,
    events: Path = EventsOption,
    catalogue: Path = CatalogueOption,
    size: Size = typer.Option(Size.small, help="Of the model."),
    epochs: int = typer.Option(None, help="Default: the number that is best on the validation window.", min=1),
    dropout: float = real(None, "Default: 0.5, 0.3 or 0.15, the best on the validation window.", min=0, max=0.9),
    settings_file: Path = typer.Option(None, "--settings", help="Hyper-parameters in TOML."),
    seed_list: str = typer.Option("7,8,9", "--seeds", help="One training each."),
    device: Device = DeviceOption,
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Repeats one training with several seeds: mean and deviation of its test metrics. Needs the extra `train`.

    Example: liveshelf bench seeds --sessions DIR --dropout 0.5 --epochs 3
    """
    need("torch")
    from benchmarks.models.seeds import measure
    from model_export.training.train_options import TrainOptions

    options = TrainOptions(size=size, epochs=epochs, dropout=dropout)
    if settings_file is not None:
        options = options.with_settings(settings_file)
    source = source_of(events, catalogue, sessions, "bench seeds")
    result = measure(source, options, number_list("--seeds", seed_list, int, 0), device)
    report_result(result, keep, json)


def transfer(
    encoder: Path = typer.Option(..., help="Encoder of another shop: liveshelf train --encoder-out."),
    sessions: Path = SessionsOption,
    events: Path = EventsOption,
    size: Size = typer.Option(Size.large, help="The encoder's size."),
    window: int = WindowOption,
    shares: str = typer.Option("0.01,0.1,1", help="Newest shares of the new shop's examples."),
    rank: int = typer.Option(8, "--lora-rank", help="Rank of the adapters.", min=1),
    epochs: int = typer.Option(None, help="Default: the number that is best on each validation window.", min=1),
    dropout: float = real(0.5, "Dropout rate.", min=0, max=0.9),
    seed_list: str = typer.Option("7,8,9", "--seeds", help="One training each."),
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Compares training from another shop's encoder, with and without adapters, with training from nothing. Needs the extra `train`.

    Example: liveshelf bench transfer --encoder mine.npz --events new.jsonl
    """
    need("torch")
    from benchmarks.models.transfer import measure
    from model_export.training.train_options import TrainOptions

    options = TrainOptions(size=size, epochs=epochs, dropout=dropout, window=window)
    source = source_of(events, None, sessions, "bench transfer")
    numbers = number_list("--shares", shares, float, ABOVE_0, 1.0)
    result = measure(source, options, encoder, numbers, rank, number_list("--seeds", seed_list, int, 0))
    report_result(result, keep, json)


def scorer(
    provider: str = typer.Option("cpu", help="cpu or cuda."),
    seconds: float = real(0.5, "Measured time of each cell.", min=ABOVE_0),
    items: str = typer.Option("1000,20000,100000", help="Sizes of the catalogue."),
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Measures the scorer alone by micro-batch, items and width, beside the roofline of this machine or its GPU. Needs the extra `train`.

    Example: liveshelf bench scorer --json
    """
    sizes = number_list("--items", items, int, 1)
    with people.status("exporting and timing graphs"):
        if provider == "cuda":
            from benchmarks.models.scorer_gpu import measure as measure_gpu

            result = measure_gpu(seconds, sizes)
        else:
            from benchmarks.models.scorer import measure

            result = measure(seconds, sizes)
    report_result(result, keep, json)


def instrumentation(bundle: Path = BundleOption, keep: Path = KeepOption, json: bool = JsonFlag) -> None:
    """Measures the cost of the operator's own metrics, without Flink and Kafka.

    Example: liveshelf bench instrumentation
    """
    from benchmarks.measuring.stack_under_test import StackUnderTest
    from benchmarks.models.instrumentation import measure

    bench = StackUnderTest(bundle)
    with people.status("with and without metrics"):
        result = measure(bench.settings, bench.bundle)
    report_result(result | bench.bundle_entry, keep, json)


def capacity(
    users: int = typer.Option(1_000_000, help="Shoppers with a state.", min=1),
    items: int = typer.Option(50_000, help="Size of the catalogue.", min=1),
    events: float = real(2_000, "Events a second at the peak.", min=ABOVE_0),
    lookups: float = real(5_000, "Look-ups a second at the peak.", min=ABOVE_0),
    results: Path = typer.Option(None, help="Folder of kept results; default: this machine's kind, in the repository."),
    json: bool = JsonFlag,
) -> None:
    """Computes what a shop of that size needs from kept results (docs/scale.md).

    Example: liveshelf bench capacity --users 20000000 --items 200000 --events 50000 --lookups 100000
    """
    from benchmarks.measuring.results import read
    from benchmarks.pages.capacity import KEPT, ShopSize, needs

    result = needs(read(results or KEPT), ShopSize(users, items, events, lookups))
    if json:
        machine(result)
        return
    table("needed, and not measured: arithmetic", ("", ""), [(name, f"{value:,}") for name, value in result.items()])


def compare(
    kept: Path = typer.Argument(..., help="The kept result, or a folder of kept results."),
    now: Path = typer.Argument(..., help="The new result, or a folder of results."),
    json: bool = JsonFlag,
) -> None:
    """Compares the ratios of two results, or of two folders of results. Exit 1 if a ratio fell by more than 15 % or was not measured.

    If `kept` has a folder for each of several runs, their median counts; a ratio that is as high as in one of them
    is not lost.

    Example: liveshelf bench compare benchmarks/results/short .liveshelf/bench
    """
    from benchmarks.measuring.results import compare as compared
    from benchmarks.measuring.results import read, read_runs, rows

    changes = compared(read_runs(kept), read(now))
    if json:
        machine(
            [
                {
                    "bench": c.bench,
                    "ratio": c.name,
                    "kept": c.runs,
                    "now": c.current,
                    "fell": c.is_lower,
                    "lost": c.is_lost,
                }
                | ({"not_measured": c.not_measured} if c.not_measured else {})
                for c in changes
            ]
        )
    else:
        table("", ("bench", "ratio", "kept", "its runs", "now", ""), rows(changes))
    if not changes:
        raise LiveshelfError("benches that both hold", "none", "measure the same ones again")
    raise typer.Exit(int(any(change.is_failure for change in changes)))
