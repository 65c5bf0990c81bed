"""`liveshelf experiments`: starts and stops experiments on the running job, and says what their arms achieve."""

import time
import tomllib
from dataclasses import asdict
from datetime import UTC, datetime
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
    from operators.experiments.experiment_rows import ExperimentRecord
    from operators.experiments.plan import ExperimentPlan
    from operators.experiments.report import ArmReport, ExperimentReport
    from operators.settings import Settings
    from pipelines.topics.experiment_log import Change

app = typer.Typer(no_args_is_help=True)


class Metric(StrEnum):
    """The least outcome of a shown item that is a conversion."""

    click = "click"
    add_to_cart = "add_to_cart"
    purchase = "purchase"


@app.command()
def start(
    plan: Path = typer.Argument(..., help="A TOML file of the plan; see docs/experiments.md."),
    why: str = typer.Option("", help="Kept with the experiment and in the audit log."),
    json: bool = JsonFlag,
) -> None:
    """Starts an experiment on the running job. Its lists carry the arm within seconds.

    Example: liveshelf experiments start plan.toml --why "longer lists on the product page"
    """
    from pipelines.topics.experiment_log import read_experiments, started, write_experiment

    settings = load_settings()
    record = started(_read_plan(plan), read_experiments(settings.kafka), settings.experiment, _change(why))
    write_experiment(settings.kafka, record)
    _audit(settings, "experiments start", record)
    if json:
        machine(_row_of(record))
    people.print(f"{record.plan.name} runs: {_words(record.plan)}")
    if settings.exploration.enabled and any(arm.effects for arm in record.plan.arms):
        people.print(
            "exploration.enabled is set: arms that change lists explore nothing, the others do; it is part of the difference"
        )
    if not settings.feedback.enabled:
        people.print("feedback.enabled is not set here: without examples there is no report (docs/feedback.md)")


@app.command()
def stop(
    name: str = typer.Argument(..., help="The experiment."),
    why: str = typer.Option("", help="Kept with the experiment and in the audit log."),
    json: bool = JsonFlag,
) -> None:
    """Ends an experiment: its users get lists as the shop has set them. The name cannot be used again.

    Example: liveshelf experiments stop diverse-lists --why "diverse is better"
    """
    from pipelines.topics.experiment_log import read_experiments, stopped, write_experiment

    settings = load_settings()
    record = stopped(name, read_experiments(settings.kafka), _change(why))
    write_experiment(settings.kafka, record)
    _audit(settings, "experiments stop", record)
    if json:
        machine(_row_of(record))
    people.print(f"{name} is stopped; report before its examples go: liveshelf experiments report {name}")


@app.command("list")
def list_experiments(json: bool = JsonFlag) -> None:
    """Shows all experiments of the topic, the newest last: which run, which were stopped, which are refused and why.

    Example: liveshelf experiments list --json
    """
    from operators.experiments.assignment import plans_of, settled
    from pipelines.topics.experiment_log import read_experiments

    settings = load_settings()
    records = read_experiments(settings.kafka)
    refused = settled(plans_of(settings.experiment), records.values()).refused
    rows = [_row_of(record, refused[name][0] if name in refused else "") for name, record in records.items()]
    if json:
        machine(rows)
        return
    columns = ("name", "state", "layer", "part", "arms", "since", "by", "why")
    table("", columns, [[row[column] for column in columns] for row in rows])
    for _, error in refused.values():
        people.print(str(error))


@app.command()
def report(
    name: str = typer.Argument(..., help="The experiment."),
    days: float = real(30, "The last days of the topic.", min=ABOVE_0, max=3650),
    metric: Metric = typer.Option(
        None, help="Only for `experiment.name`: the least outcome that is a conversion; default click."
    ),
    control: str = typer.Option(
        None, help="Only for `experiment.name`: the arm that others are compared with; default: the first."
    ),
    expected_lift: float = real(
        None,
        "Only for `experiment.name`: the relative difference that intervals are narrowest for; default 0.1.",
        min=ABOVE_0,
        max=1000,  # `MAX_LIFT`, without its import
    ),
    plan: Path = typer.Option(
        None, help="A TOML file of an experiment that neither the topic nor liveshelf.toml names."
    ),
    history: Path = typer.Option(
        None, help="A CSV file of user_id,value from before the start: narrower intervals (CUPED)."
    ),
    history_days: float = real(
        None, "The same by the users' outcomes in so many days before the start.", min=ABOVE_0, max=3650
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
    if history is not None and history_days is not None:
        raise typer.BadParameter("--history or --history-days, not both")
    chosen = {"metric": metric and metric.value, "control": control, "expected_lift": expected_lift}
    experiment, started_at = _plan(
        name, plan, settings, {field: value for field, value in chosen.items() if value is not None}
    )
    with people.status("reading examples"):
        examples = read_experiment(settings.kafka, name, int(time.time() * 1000 - days * DAY_MS))
        before = _history(settings, experiment, started_at, history, history_days)
    if not examples.final:
        raise LiveshelfError(
            f"examples of {name} of the last {days:g} days on shop.examples.v1",
            f"none in {examples.records} records",
            "set feedback.enabled and submit the job; send impressions with the list's recommendation_id (docs/feedback.md)",
        )
    answer = report_on_examples(examples.final, experiment, history=before)
    left_out = answer.left_out | examples.left_out
    if json:
        machine(asdict(answer) | {"left_out": left_out, "examples": len(examples.final)})
    else:
        _show(answer, left_out)
    if plot is not None:
        from operators.experiments.report import report_over_time
        from pipelines.reports.experiment_plot import plot as draw

        draw(report_over_time(examples.final, experiment, history=before)).savefig(plot, format="png", dpi=150)


def _plan(
    name: str, file: Path | None, settings: "Settings", chosen: dict[str, object]
) -> "tuple[ExperimentPlan, int | None]":
    """The plan of the file, of `[experiment]` with the fields `chosen`, or of the topic; and when it started, if the topic says
    so (epoch ms)."""
    from operators.experiments.plan import plan_of_shares
    from pipelines.topics.experiment_log import read_experiments

    if file is None and settings.experiment.name == name:
        return plan_of_shares(name, settings.experiment.arms, **chosen), None
    if chosen:
        raise typer.BadParameter(f"--{next(iter(chosen)).replace('_', '-')}: the plan says it")
    if file is not None:
        read = _read_plan(file)
        if read.name != name:
            raise LiveshelfError(
                f"the plan of {name}", f"that of {read.name} in {file}", "name the experiment of the plan"
            )
        return read, None
    records = read_experiments(settings.kafka)
    if name not in records:
        raise LiveshelfError(
            f"an experiment of the topic: {', '.join(records) or 'none yet'}",
            name,
            "liveshelf experiments list; or give the plan of another by --plan FILE",
        )
    return records[name].plan, records[name].started_at


def _read_plan(file: Path) -> "ExperimentPlan":
    from operators.experiments.plan import read_plan

    try:
        fields = tomllib.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise LiveshelfError("a TOML file of an experiment", f"{file}: {error}", "see docs/experiments.md") from error
    return read_plan(fields)


def _history(
    settings: "Settings", plan: "ExperimentPlan", started_at: int | None, file: Path | None, days: float | None
) -> dict[str, float] | None:
    from pipelines.reports.experiment_history import history_before, read_history

    if file is not None:
        return read_history(file)
    if days is None:
        return None
    if started_at is None:
        raise typer.BadParameter(f"--history-days: no record says when {plan.name} started; give --history FILE")
    return history_before(settings.kafka, started_at, days, plan.metric)


def _change(why: str) -> "Change":
    from pipelines.provenance.audit_log import who_acts
    from pipelines.topics.experiment_log import Change

    return Change(int(time.time() * 1000), who_acts(), why)


def _audit(settings: "Settings", verb: str, record: "ExperimentRecord") -> None:
    from pipelines.provenance.audit_log import record_act

    record_act(settings.kafka, verb, experiment=record.plan.name, arms=_words(record.plan), why=record.why)


def _words(plan: "ExperimentPlan") -> str:
    """The arms in a line, such as `control 50 %, wide 50 % (list_size 40)`."""
    arms = []
    for arm in plan.arms:
        effects = ", ".join(f"{field} {getattr(arm, field)}" for field in arm.effects)
        arms.append(f"{arm.name} {100 * arm.share:g} %" + (f" ({effects})" if effects else ""))
    return ", ".join(arms)


def _row_of(record: "ExperimentRecord", refused: str = "") -> dict[str, object]:
    plan, state = record.plan, "running" if record.stopped_at is None else "stopped"
    return {
        "name": plan.name,
        "state": f"refused: {refused}" if refused else state,
        "layer": plan.layer,
        "part": f"{plan.begin:g} to {plan.end:g}",
        "arms": _words(plan),
        "since": _moment(record.started_at if record.stopped_at is None else record.stopped_at),
        "started_at": record.started_at,
        "stopped_at": record.stopped_at,
        "by": record.who,
        "why": record.why,
    }


def _moment(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).isoformat(timespec="seconds")


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
