"""The shopper simulator: `python -m benchmarks.simulator history`, `run`, `dry` and `report` (docs/simulator.md)."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from math import inf, isinf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, BinaryIO

import msgspec
import typer

from benchmarks.simulator import dry_run, history
from benchmarks.simulator.bundle_lists import BundleLists
from benchmarks.simulator.crowd import Pace
from benchmarks.simulator.drift import Drift
from benchmarks.simulator.ledger import Window
from benchmarks.simulator.recovery import RunPlan, read_run, recovery
from benchmarks.simulator.world import Shop, World
from operators.errors import LiveshelfError
from operators.records.contracts import Event, encode_record
from operators.settings import Settings, load_settings

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


Minutes = Annotated[float, typer.Option(help="Length of the run.", min=1)]
Rate = Annotated[float, typer.Option(help="Events a second, about.", min=0.1)]
DriftAt = Annotated[float | None, typer.Option(help="Minute of the drift; without it nothing drifts.", min=0)]
DriftOver = Annotated[float, typer.Option(help="Minutes that the drift takes; 0: all at once.", min=0)]
Think = Annotated[float, typer.Option(help="Median seconds on a page; 50 in a real shop.", min=0.1)]
Out = Annotated[Path, typer.Option(help="JSON lines: the plan, then a line for each 10 s.")]


@dataclass(frozen=True)
class ShopOptions:
    """What all commands of one measurement have in common: the shop, and how much a drift changes."""

    shop: Shop
    drift: Drift

    def world(self, drift_at: float | None = None, drift_over: float = 0.0) -> World:
        """The shop, with a drift at a minute, over minutes."""
        at_s = inf if drift_at is None else 60 * drift_at
        return World(self.shop, replace(self.drift, at_s=at_s, over_s=60 * drift_over))


@app.callback()
def shop_options(
    context: typer.Context,
    seed: Annotated[int, typer.Option(help="Seed of items, shoppers and drift.", min=0)] = 7,
    shoppers: Annotated[int, typer.Option(help="Shoppers of the shop.", min=1)] = 2_000,
    items: Annotated[int, typer.Option(help="Items before the drift.", min=2)] = 1_000,
    categories: Annotated[int, typer.Option(help="Categories of the items.", min=1)] = 20,
    tag: Annotated[str, typer.Option(help="Begins all ids: another tag, other shoppers.")] = "sim",
    tastes: Annotated[float, typer.Option(help="Shoppers who turn to other categories.", min=0, max=1)] = 0.5,
    appeal: Annotated[float, typer.Option(help="Items whose appeal changes.", min=0, max=1)] = 0.5,
    arrivals: Annotated[float, typer.Option(help="New items, in parts of the old ones.", min=0, max=1)] = 0.2,
) -> None:
    """Simulates the shoppers of a shop. All commands of one measurement need the same options before the command."""
    drift = Drift(tastes=tastes, appeal=appeal, arrivals=arrivals)
    context.obj = ShopOptions(Shop(seed, shoppers, items, categories, tag), drift)


@app.command("history")
def history_command(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="JSON lines of events.")],
    catalogue: Annotated[Path, typer.Option(help="JSON lines of catalogue records.")],
    days: Annotated[float, typer.Option(help="Length of the past.", min=0.1)] = 7.0,
    sessions: Annotated[float, typer.Option(help="Of a shopper in these days, on average.", min=0.1)] = 6.0,
    until: Annotated[int, typer.Option(help="Epoch ms at which the past ends.")] = history.END_MS,
) -> None:
    """Writes a past of the shop, to train its first bundle from."""
    count = history.write(context.obj.world(), out, catalogue, days, sessions, until)
    print(f"{count:,} events", file=sys.stderr)


@app.command("run")
def run_command(
    context: typer.Context,
    out: Out,
    minutes: Minutes = 20.0,
    rate: Rate = 100.0,
    drift_at: DriftAt = None,
    drift_over: DriftOver = 0.0,
    think: Think = 2.0,
    frozen: Annotated[Path | None, typer.Option(help="Bundle that never learns: the one served at the start.")] = None,
) -> None:
    """Lets the shoppers loose on the running stack."""
    from benchmarks.simulator.live_run import live_run

    settings, world = load_settings(), context.obj.world(drift_at, drift_over)
    control = None if frozen is None else BundleLists(frozen, settings, world)
    pace = Pace.of_rate(rate, world.shop.shoppers, think)
    _write(out, _plan(world, minutes, rate, frozen), live_run(world, pace, minutes, settings, control))


@app.command("dry")
def dry_command(
    context: typer.Context,
    out: Out,
    minutes: Minutes = 20.0,
    rate: Rate = 100.0,
    drift_at: DriftAt = None,
    drift_over: DriftOver = 0.0,
    think: Think = 2.0,
    bundle: Annotated[
        list[str] | None, typer.Option(help="MINUTE:FOLDER, the first at minute 0; without any a trivial learner.")
    ] = None,
    events: Annotated[
        Path | None, typer.Option(help="Writes the run's events as JSON lines, to train the next bundle from.")
    ] = None,
    follow: Annotated[
        bool,
        typer.Option(help="Lets the trainer follow from the one --bundle, by the settings' tables trainer and gate."),
    ] = False,
) -> None:
    """The same shoppers without Kafka, faster than the clock: real bundles, the trainer's, or a trivial learner's lists."""
    settings, world = load_settings(), context.obj.world(drift_at, drift_over)
    pace, start_ms = Pace.of_rate(rate, world.shop.shoppers, think), history.END_MS
    bundles = _bundles(bundle or [])
    with ExitStack() as files:
        kept = None if events is None else files.enter_context(events.open("wb"))

        def keep(event: Event) -> None:
            if kept is not None:
                kept.write(encode_record(event) + b"\n")

        if follow:
            windows = _followed(settings, world, pace, minutes, bundles, files, keep)
        elif bundles:
            windows = dry_run.with_bundles(world, pace, minutes, bundles, settings, start_ms, keep)
        else:
            windows = dry_run.with_learner(world, pace, minutes, start_ms, settings, keep)
        _write(out, _plan(world, minutes, rate, bundles.get(0.0)), windows)


@app.command("report")
def report_command(
    run: Annotated[Path, typer.Argument(help="A run's file.")],
    plot: Annotated[Path | None, typer.Option(help="Draws the run (extra `report`).")] = None,
    json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
    warm_s: Annotated[float, typer.Option(help="Seconds at the start that do not count.", min=0)] = 60.0,
    end_s: Annotated[float, typer.Option(help="The last seconds: the loop has learned.", min=30)] = 180.0,
) -> None:
    """Says how much of what the drift cost the loop has won back: docs/simulator.md has the definition."""
    plan, windows = read_run(run)
    if plot is not None:
        from benchmarks.simulator.recovery_plot import plot as draw

        draw(plan, windows).savefig(plot, dpi=120)
    result = recovery(plan, windows, warm_s, end_s)
    if json:
        print(msgspec.json.format(msgspec.json.encode(result)).decode())
        return
    print("| clicks a list | before the drift | after it | at the end |\n|---|---|---|---|")
    for name in result.before:
        print(f"| {name} | {result.before[name]:.3f} | {result.after[name]:.3f} | {result.end[name]:.3f} |")
    if result.recovered is None or result.interval is None:
        print("\nThe drift cost nothing that can be told from chance.")
        return
    low, high = result.interval
    print(f"\nrecovered {result.recovered:.0%} ({low:.0%} to {high:.0%}) of {result.cost:.3f} clicks a list")


def _followed(
    settings: Settings,
    world: World,
    pace: Pace,
    minutes: float,
    bundles: dict[float, Path],
    files: ExitStack,
    keep: Callable[[Event], None],
) -> Iterator[Window]:
    """A dry run of the trainer. Raises `LiveshelfError` unless one bundle is there to follow from."""
    if [*bundles] != [0.0]:
        raise LiveshelfError("one bundle to follow from", f"{len(bundles)}", "--follow --bundle 0:bundles/first")
    from benchmarks.simulator.followed_bundles import FollowedBundles, line_at

    work = Path(files.enter_context(TemporaryDirectory(prefix="liveshelf-dry-")))
    shelf = FollowedBundles(settings, world, bundles[0.0], work, history.END_MS, line_at)
    files.callback(shelf.close)
    control = BundleLists(bundles[0.0], settings, world)
    return dry_run.with_trainer(world, pace, minutes, shelf, control, history.END_MS, keep)


def _bundles(texts: list[str]) -> dict[float, Path]:
    """Second of the run -> bundle. Raises `LiveshelfError`."""
    try:
        bundles = {60 * float(minute): Path(folder) for minute, _, folder in (text.partition(":") for text in texts)}
    except ValueError as error:
        raise LiveshelfError("MINUTE:FOLDER", ", ".join(texts), "such as --bundle 0:bundles/first") from error
    if bundles and 0.0 not in bundles:
        raise LiveshelfError("a bundle for minute 0", ", ".join(texts), "add --bundle 0:FOLDER")
    return bundles


def _plan(world: World, minutes: float, rate: float, frozen: Path | None) -> RunPlan:
    return RunPlan(
        seed=world.shop.seed,
        minutes=minutes,
        drift_s=None if isinf(world.drift.at_s) else world.drift.at_s,
        settled_s=world.drift.over_s,
        frozen=None if frozen is None else frozen.name,
        started_at=time.time_ns() // 1_000_000,
        rate=rate,
        shoppers=world.shop.shoppers,
        items=world.shop.items,
    )


def _write(out: Path, plan: RunPlan, windows: Iterable[Window]) -> None:
    with out.open("wb") as file:
        _line(file, plan)
        for window in windows:
            _line(file, window)


def _line(file: BinaryIO, record: msgspec.Struct) -> None:
    file.write(msgspec.json.encode(record) + b"\n")
    file.flush()


def main() -> int:
    """Runs the command; an error in three parts instead of a traceback."""
    try:
        app(standalone_mode=False)
    except LiveshelfError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
