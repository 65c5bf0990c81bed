"""`liveshelf evaluate`: a bundle beside the baselines (extra `train`)."""

from pathlib import Path

import typer

from pipelines.cli.output import JsonFlag, machine, people, table
from pipelines.cli.train import need_torch


def run(
    bundle: Path = typer.Option(..., help="Bundle folder."),
    sessions: Path = typer.Option(..., help="Folder with train.parquet and test.parquet; see docs/train.md."),
    json: bool = JsonFlag,
) -> None:
    """Ranks all items for each question of the test, by the bundle's own graph and by each baseline.

    Example: liveshelf evaluate --bundle bundles/mine --sessions sessions/mine --json
    """
    need_torch()
    from model_export.evaluate import evaluate_sessions
    from operators.model_bundle import ModelBundle

    with people.status("the bundle and six baselines"):
        found = evaluate_sessions(ModelBundle.load(bundle), sessions, people.print)
    if json:
        machine(found)
        return
    names = ("P@20", "MRR@20", "NDCG@20")
    rows = [(found["model"], found), *found["baselines"].items()]
    table(
        f"{found['protocol']['set']}: {found['protocol']['questions']} questions, {found['protocol']['ranking']}",
        ("model", *(f"{name} %" for name in names)),
        [(model, *(f"{metrics[name]:.2f}" for name in names)) for model, metrics in rows],
    )
