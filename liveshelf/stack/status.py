"""`liveshelf status`: shows which parts run and whether they answer."""

import time
from concurrent.futures import ThreadPoolExecutor

import typer

from liveshelf.terminal.output import JsonFlag, machine, people, table
from operators.errors import LiveshelfError
from operators.settings import Settings, load_settings


def run(json: bool = JsonFlag) -> None:
    """Shows each part's answer to a real request, its process, and the jobs. Exit 1 if a part does not answer.

    Example: liveshelf status --json
    """
    from deploy.local.layout import Layout
    from deploy.local.probes import states
    from deploy.local.supervisor import Supervisor

    settings = load_settings()
    with ThreadPoolExecutor(1) as executor:
        future_jobs = executor.submit(_jobs, settings)
        parts = {
            probe.name: {"address": probe.address, "answers": bool(is_up), "says": text or None}
            for probe, (is_up, text) in states(settings)
        }
        jobs = future_jobs.result()
    processes = [
        {"name": p["name"], "state": p["statename"], "pid": p["pid"], "up_s": int(time.time() - p["start"])}
        for p in Supervisor(Layout.of(settings)).processes()
    ]
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


def _jobs(settings: Settings) -> list[dict[str, str]]:
    """The cluster's jobs; an empty list if it does not answer (its probe reports that)."""
    from pipelines.submission.cluster import Cluster

    try:
        return [{"id": job["jid"], "name": job["name"], "state": job["state"]} for job in Cluster(settings.job).jobs()]
    except LiveshelfError:
        return []
