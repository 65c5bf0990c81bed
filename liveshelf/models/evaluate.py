"""`liveshelf evaluate`: compares a bundle with the baselines (extra `train`)."""

from functools import partial
from pathlib import Path
from typing import Any

import typer

from liveshelf.terminal.extras import need
from liveshelf.terminal.out_files import begins, check_out
from liveshelf.terminal.output import JsonFlag, machine, people, table
from operators.errors import LiveshelfError
from operators.settings import load_settings

NAMES = ("P@20", "MRR@20", "NDCG@20")


def run(
    bundle: Path = typer.Option(..., help="Bundle folder."),
    sessions: Path = typer.Option(None, help="Folder with train.parquet and test.parquet; see docs/train.md."),
    events: Path = typer.Option(None, help="Or: JSON lines of canonical events."),
    test_from: int = typer.Option(
        None, help="events: the test starts at this epoch ms; default: the end of the training.", min=1
    ),
    plot: Path = typer.Option(
        None, help="events: draws the state-age curve and the reliability of p_click into this PNG (extra `report`)."
    ),
    json: bool = JsonFlag,
) -> None:
    """Ranks all items for each test question, by the bundle's graph and by each baseline.

    Example: liveshelf evaluate --bundle bundles/mine --sessions sessions/mine --json
    """
    if (events is None) == (sessions is None):
        raise LiveshelfError("either --events FILE or --sessions DIR", "both or none", "liveshelf evaluate --help")
    need("torch")
    if plot is not None:
        need("matplotlib")
        check_out(plot, "PNG", begins(b"\x89PNG"))
    from model_export.evaluation.evaluate import evaluate_sessions
    from model_export.evaluation.evaluate_events import evaluate_events
    from operators.model.model_bundle import ModelBundle

    loaded, limits = ModelBundle.load(bundle), load_settings().events
    with people.status("the bundle and six baselines"):
        if sessions is None:
            evaluation = evaluate_events(loaded, events, test_from, partial(people.print, soft_wrap=True), limits)
        else:
            evaluation = evaluate_sessions(loaded, sessions, partial(people.print, soft_wrap=True), limits)
    if plot is not None and "state_age" in evaluation:
        from model_export.evaluation.state_age_plot import draw

        draw(evaluation, plot)
    if json:
        machine(evaluation)
        return
    protocol = evaluation["protocol"]
    title = f"{protocol['set']}: {protocol['questions']} questions, {protocol['ranking']}"
    _table(title, "model", {evaluation["model"]: evaluation, **evaluation["baselines"]})
    for slices, name in (
        ("state_age", "the state is older by"),
        ("by_history_length", "known items in the history"),
        ("by_item_age", "item first seen"),
        ("by_item_support", "item came before"),
    ):
        if slices in evaluation:
            _table("", name, evaluation[slices])
    if clicks := evaluation.get("clicks"):
        _show_clicks(clicks)


def _show_clicks(clicks: dict[str, Any]) -> None:
    """Whether the click probabilities come true, by bins of equal size."""
    title = f"p_click of {clicks['cases']} listed items: ECE {clicks['ECE']:.4f}, Brier {clicks['Brier']:.4f}"
    seen = (
        f"; {clicks['seen']:.0%} of the questions are those that the calibration was fitted on"
        if clicks["seen"]
        else ""
    )
    table(
        title + seen, ("p_click", "chosen", "items"), [(f"{p:.4f}", f"{rate:.4f}", n) for p, rate, n in clicks["bins"]]
    )


def _table(title: str, first: str, metrics: dict[str, dict[str, float]]) -> None:
    rows = [(name, *(f"{values[metric]:.2f}" for metric in NAMES)) for name, values in metrics.items()]
    table(title, (first, *(f"{metric} %" for metric in NAMES)), rows)
