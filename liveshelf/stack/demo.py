"""`liveshelf demo`: sends real orders through the whole system and shows the figures."""

import importlib.util
import os
import sys
from typing import TYPE_CHECKING

import typer

from liveshelf.terminal.numbers import ABOVE_0, real
from liveshelf.terminal.output import grid, live, people
from liveshelf.terminal.start_steps import show_refused, show_start
from operators.configuration.rest_address import RestAddress
from operators.settings import Settings, load_settings

if TYPE_CHECKING:
    from pipelines.demo.demo_run import DemoRun

CHECK_SECONDS = 45
# the demo shows them: examples of what shoppers do with their lists, and what is popular now
SWITCHED_ON = ("LIVESHELF_FEEDBACK__ENABLED", "LIVESHELF_DEMAND__ENABLED", "LIVESHELF_EXPLORATION__ENABLED")
TRAINER = "LIVESHELF_TRAINER__FOLLOW"


def run(
    rate: float = real(100, "Events a second.", min=ABOVE_0),
    check: bool = typer.Option(False, help="Run for a bounded time, verify, exit 0 or 1."),
) -> None:
    """Starts the stack and the job, replays the last month of a real gift shop's orders, and shows the figures.

    Example: liveshelf demo
    """
    from deploy.local.layout import Layout
    from model_export.data.online_retail import LAST_MONTH, catalogue, events
    from operators.kafka_io.kafka_clients import new_producer
    from pipelines.demo.demo_run import DemoRun
    from pipelines.local.resumption import resume_or_submit
    from pipelines.submission.cluster import Cluster
    from pipelines.topics.replayer import publish_catalogue

    trains = (TRAINER,) if importlib.util.find_spec("torch") else ()  # the extra `train` may be missing
    for name in (*SWITCHED_ON, *trains):
        os.environ.setdefault(name, "true")  # the parts of the stack inherit it
    settings = load_settings()
    layout = Layout.of(settings)
    show_start(settings, secure=False)
    producer = new_producer(settings.kafka)
    people.print(f"catalogue: {publish_catalogue(catalogue(), producer)} products published")
    producer.close()
    if not Cluster(settings.job).jobs(settings.job.name):
        with people.status("submitting"):
            people.print(f"job {resume_or_submit(settings, show_refused)} runs")
    _addresses(settings)
    demo = DemoRun(settings, events(start_ms=LAST_MONTH), rate, layout.targets)
    demo.start()
    try:
        _watch(demo, CHECK_SECONDS if check else float("inf"))
    except KeyboardInterrupt:
        people.print("replay stopped")
    finally:
        demo.stop()
    if check:
        raise typer.Exit(0 if _verify(settings, demo) else 1)
    people.print("the stack goes on; `.venv/bin/liveshelf down` stops it, `down --purge` removes its data too")


def _addresses(settings: Settings) -> None:
    from deploy.local.watchers import prometheus

    people.print("")
    people.print(f"  shop page    {_shop(settings)}/")
    if prometheus.program():
        people.print(f"  operations   {_shop(settings)}/ops")
        people.print(f"  Prometheus   http://127.0.0.1:{settings.stack.prometheus_port}")
    people.print(f"  Flink        {RestAddress.parse(settings.job.rest_url).url}")
    people.print("")


def _watch(demo: "DemoRun", seconds: float) -> None:
    rows = demo.figures.rows(0)
    with live() as display:
        for rows in demo.watched(seconds):
            if sys.stderr.isatty():
                display.update(grid("", ("", ""), rows), refresh=True)
    if not sys.stderr.isatty():
        people.print(grid("", ("", ""), rows))


def _verify(settings: Settings, demo: "DemoRun") -> bool:
    from pipelines.demo.demo_checks import demo_checks

    checks = demo_checks(demo, _shop(settings))
    for text, passed in checks.items():
        people.print(f"  {'ok  ' if passed else 'FAIL'} {text}")
    return all(checks.values())


def _shop(settings: Settings) -> str:
    return f"http://{settings.storefront.host}:{settings.storefront.port}"
