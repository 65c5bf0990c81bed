"""`liveshelf submit`: the job on a Flink cluster."""

from pathlib import Path

import typer

from operators.settings import load_settings
from pipelines.cli.output import JsonFlag, machine, people


def run(
    bundle: Path = typer.Option(None, help="Bundle folder; default: bundle.path of the settings."),
    savepoint: str = typer.Option(None, "--from-savepoint", help="Savepoint or retained checkpoint to start from."),
    rest: str = typer.Option(None, help="REST address of the cluster; default: job.rest_url."),
    json: bool = JsonFlag,
) -> None:
    """Ships code and bundle to the cluster, starts the job, and returns when all its tasks run.

    Example: liveshelf submit --bundle models/online-retail
    """
    from deploy.local.flink_home import build_flink_home, process_environment
    from deploy.local.jars import ensure_jars
    from deploy.local.layout import Layout
    from pipelines.launcher import submit

    settings = load_settings()
    layout = Layout.of(settings)
    tables = settings.job.tables_dir or str(layout.tables)
    settings = settings.model_copy(
        update={
            "job": settings.job.model_copy(update={"rest_url": rest or settings.job.rest_url, "tables_dir": tables})
        }
    )
    if not layout.flink_home.is_dir():
        ensure_jars(layout)
        build_flink_home(settings, layout)
    with people.status("submitting"):
        folder = (bundle or settings.resolve(settings.bundle.path)).resolve()
        job_id = submit(settings, process_environment(layout), folder, savepoint)
    if json:
        machine({"job_id": job_id, "rest_url": settings.job.rest_url})
    people.print(f"job {job_id} runs: {settings.job.rest_url}/#/job/{job_id}/overview")
