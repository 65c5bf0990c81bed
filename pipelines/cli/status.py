"""`liveshelf status`: what runs, and whether it answers."""

import time

import typer

from operators.errors import ClusterError
from operators.settings import load_settings
from pipelines.cli.output import JsonFlag, machine, people, table


def run(json: bool = JsonFlag) -> None:
    """Shows each part's answer to a real request, its process, and the job. Exit 1 when a part does not answer.

    Example: liveshelf status --json
    """
    from deploy.local.layout import Layout
    from deploy.local.probes import probes
    from deploy.local.supervisor import Supervisor
    from pipelines.cluster import Cluster

    settings = load_settings()
    parts = {
        probe.name: {"address": probe.address, "answers": bool((state := probe.state())[0]), "says": state[1] or None}
        for probe in probes(settings)
    }
    processes = [
        {"name": p["name"], "state": p["statename"], "pid": p["pid"], "up_s": int(time.time() - p["start"])}
        for p in Supervisor(Layout.of(settings)).processes()
    ]
    try:
        jobs = [{"id": j["jid"], "name": j["name"], "state": j["state"]} for j in Cluster(settings.job).jobs()]
    except ClusterError:
        jobs = []
    healthy = bool(processes) and all(part["answers"] for part in parts.values())
    if json:
        machine({"healthy": healthy, "parts": parts, "processes": processes, "jobs": jobs})
    else:
        table(
            "parts",
            ("part", "address", "says"),
            [(n, p["address"], p["says"] or "no answer") for n, p in parts.items()],
        )
        table("processes", ("process", "state", "pid", "up s"), [tuple(p.values()) for p in processes])
        table("jobs", ("job", "name", "state"), [tuple(j.values()) for j in jobs])
        if not processes:
            people.print("no stack runs here; start it with `liveshelf up`")
    raise typer.Exit(0 if healthy else 1)
