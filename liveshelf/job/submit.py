"""`liveshelf submit`: starts the job on a Flink cluster."""

from pathlib import Path

import typer

from liveshelf.terminal.output import JsonFlag, machine, people
from liveshelf.terminal.start_steps import show_serving
from operators.configuration.rest_address import RestAddress
from operators.settings import load_settings


def run(
    bundle: Path = typer.Option(None, help="Bundle folder; default: bundle.path of the settings."),
    savepoint: str = typer.Option(None, "--from-savepoint", help="Savepoint or retained checkpoint to start from."),
    fresh: bool = typer.Option(False, "--fresh", help="Start with empty state and read all events again."),
    rest: str = typer.Option(None, help="REST address of the cluster; default: job.rest_url."),
    json: bool = JsonFlag,
) -> None:
    """Ships code and bundle to the cluster, starts the job, and returns when all its tasks run.

    It refuses to start a job that ran before without its state: see `liveshelf resume`.

    Example: liveshelf submit --bundle models/online-retail
    """
    from pipelines.local.local_submission import submit_locally

    settings = load_settings(**({"job": {"rest_url": rest}} if rest else {}))
    with people.status("submitting"):
        job_id = submit_locally(settings, bundle, savepoint=savepoint, fresh=fresh)
    cluster = RestAddress.parse(settings.job.rest_url).url
    if json:
        machine({"job_id": job_id, "rest_url": cluster})
    people.print(f"job {job_id} runs: {cluster}/#/job/{job_id}/overview")
    show_serving(settings, bundle)
