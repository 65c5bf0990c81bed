"""`liveshelf experiments`: what the arms of an experiment achieve."""

import time
import tomllib
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from liveshelf.terminal.extras import need
from liveshelf.terminal.numbers import ABOVE_0, real
from liveshelf.terminal.out_files import begins, check_out
from liveshelf.terminal.output import JsonFlag, machine, people, table
from operators.errors import LiveshelfError
from operators.settings import load_settings
from operators.time_units import DAY_MS

if TYPE_CHECKING:
    from operators.configuration.shop_settings import ExperimentSettings
    from operators.experiments.plan import ExperimentPlan
    from operators.experiments.report import ArmReport, ExperimentReport

app = typer.Typer(no_args_is_help=True)


class Metric(StrEnum):
    """The least outcome of a shown item that is a conversion."""

    click = "click"
    add_to_cart = "add_to_cart"
    purchase = "purchase"


@app.command()
def report(
    name: str = typer.Argument(..., help="The experiment: `experiment.name`, or the name in --plan."),
    days: float = real(30, "The last days of the topic.", min=ABOVE_0, max=3650),
    metric: Metric = typer.Option(
        None, help="A shown item with this outcome, or a better one, is a conversion; default click."
    ),
    control: str = typer.Option(None, help="The arm that others are compared with; default: the first."),
    expected_lift: float = real(
        None,
        "The relative difference that intervals are narrowest for; choose it before the start; default 0.1.",
        min=ABOVE_0,
        max=1000,
    ),
    plan: Path = typer.Option(
        None, help="A TOML file of an experiment that liveshelf.toml no longer names; see docs/experiments.md."
    ),
    plot: Path = typer.Option(None, help="Draws rates and differences over time into this PNG (extra `report`)."),
    json: bool = JsonFlag,
) -> None:
    """Reports shown items, conversions, rate and interval of each arm, from shop.examples.v1. Look as often as you like.

    Example: liveshelf experiments report diverse-lists --json
    """
    from operators.experiments.report import report as report_on_examples
    from pipelines.reports.experiment_examples import read_experiment

    settings = load_settings()
    if plot is not None:
        need("matplotlib")
        check_out(plot, "PNG", begins(b"\x89PNG"))
    chosen = {"metric": metric and metric.value, "control": control, "expected_lift": expected_lift}
    experiment = _plan(
        name, plan, settings.experiment, {field: value for field, value in chosen.items() if value is not None}
    )
    with people.status("reading examples"):
        examples = read_experiment(settings.kafka, name, int(time.time() * 1000 - days * DAY_MS))
    if not examples.final:
        raise LiveshelfError(
            f"examples of {name} of the last {days:g} days on shop.examples.v1",
            f"none in {examples.records} records",
            "set feedback.enabled and submit the job; send impressions with the list's recommendation_id (docs/feedback.md)",
        )
    answer = report_on_examples(examples.final, experiment)
    left_out = answer.left_out | examples.left_out
    if json:
        machine(asdict(answer) | {"left_out": left_out, "examples": len(examples.final)})
    else:
        _show(answer, left_out)
    if plot is not None:
        from operators.experiments.report import report_over_time
        from pipelines.reports.experiment_plot import plot as draw

        draw(report_over_time(examples.final, experiment)).savefig(plot, format="png", dpi=150)


def _plan(name: str, file: Path | None, running: "ExperimentSettings", chosen: dict[str, object]) -> "ExperimentPlan":
    """The plan of the file, else of the running experiment with the fields `chosen`."""
    from operators.experiments.plan import plan_of_shares, read_plan

    if file is None:
        if running.name != name:
            raise LiveshelfError(
                f"the running experiment, {running.name or 'which liveshelf.toml does not name'}",
                name,
                "name that one, or give the other's plan by --plan FILE",
            )
        return plan_of_shares(name, running.arms, **chosen)
    if chosen:
        raise typer.BadParameter(f"--{next(iter(chosen)).replace('_', '-')}: write it into the file of --plan")
    try:
        fields = tomllib.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise LiveshelfError("a TOML file of an experiment", f"{file}: {error}", "see docs/experiments.md") from error
    read = read_plan(fields)
    if read.name != name:
        raise LiveshelfError(f"the plan of {name}", f"that of {read.name} in {file}", "name the experiment of the plan")
    return read


def _show(answer: "ExperimentReport", left_out: dict[str, int]) -> None:
    columns = ("arm", "users", "shown", answer.metric, "rate %", "interval %", f"minus {answer.control}, points")
    table("", columns, [_row(name, arm) for name, arm in answer.arms.items()])
    if any(arm.p_click for arm in answer.arms.values()):
        columns = ("arm", "items with p_click", "mean p_click %", "clicks or better %", "calibration error, points")
        table("calibration", columns, [_calibration(name, arm) for name, arm in answer.arms.items()])
    if left_out:
        table("left out", ("reason", "examples"), sorted(left_out.items()))
    people.print(answer.verdict)


def _calibration(name: str, arm: "ArmReport") -> list[object]:
    if (p_click := arm.p_click) is None:
        return [name, 0, "", "", ""]
    shares = (p_click.predicted, p_click.happened, p_click.ece)
    return [name, sum(each.count for each in p_click.bins), *(f"{100 * share:.3f}" for share in shares)]


def _row(name: str, arm: "ArmReport") -> list[object]:
    low, high = (100 * end for end in arm.interval)
    difference = (
        "" if arm.difference is None else "{:+.3g} to {:+.3g}".format(*(100 * end for end in arm.difference.interval))
    )
    return [name, arm.users, arm.n, arm.conversions, f"{100 * arm.rate:.3f}", f"{low:.3g} to {high:.3g}", difference]
