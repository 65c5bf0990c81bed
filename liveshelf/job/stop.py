"""`liveshelf stop`: stops the job, with a savepoint to start from later."""

import typer

from liveshelf.terminal.output import JsonFlag, machine, people
from operators.errors import ClusterError
from operators.settings import load_settings


def run(
    savepoint: bool = typer.Option(
        True, "--savepoint/--no-savepoint", help="Keep the state for `submit --from-savepoint`."
    ),
    json: bool = JsonFlag,
) -> None:
    """Stops the running job.

    Example: liveshelf stop --savepoint
    """
    from pipelines.provenance.audit_log import record_act
    from pipelines.submission.cluster import Cluster

    settings = load_settings()
    cluster = Cluster(settings.job)
    jobs = cluster.jobs(settings.job.name)
    if not jobs:
        raise ClusterError(f"a running job named {settings.job.name}", "none", "liveshelf status shows what runs")
    location = None
    with people.status("stopping"):
        if savepoint:
            location = cluster.stop_with_savepoint(jobs[0]["jid"])
        else:
            cluster.cancel(jobs[0]["jid"])
    record_act(settings.kafka, "stop", job_id=jobs[0]["jid"], savepoint=location or "none")
    if json:
        machine({"job_id": jobs[0]["jid"], "savepoint": location})
    people.print(f"stopped; go on with: liveshelf submit --from-savepoint {location}" if location else "stopped")
