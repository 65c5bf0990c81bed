"""`liveshelf demo`: real orders through the whole system, before your eyes."""

import sys
import time
from typing import Any

import typer

from liveshelf.terminal.numbers import ABOVE_0, real
from liveshelf.terminal.output import grid, live, people
from liveshelf.terminal.start_steps import show_start
from operators.configuration.rest_address import RestAddress
from operators.settings import Settings, load_settings

COLD_SECONDS = 8
CHECK_SECONDS = 45


def run(
    rate: float = real(100, "Events a second.", min=ABOVE_0),
    check: bool = typer.Option(False, help="Run for a bounded time, verify, exit 0 or 1."),
) -> None:
    """Starts the stack and the job, replays the last month of a real gift shop's orders, shows what happens.

    Example: liveshelf demo
    """
    from deploy.local.layout import Layout
    from model_export.data.online_retail import LAST_MONTH, catalogue, events
    from operators.kafka_io.kafka_clients import new_producer
    from pipelines.demo.demo_run import DemoRun
    from pipelines.local.resumption import resume_or_submit
    from pipelines.submission.cluster import Cluster
    from pipelines.topics.replayer import publish_catalogue

    settings = load_settings()
    layout = Layout.of(settings)
    show_start(settings, secure=False)
    producer = new_producer(settings.kafka)
    people.print(f"catalogue: {publish_catalogue(catalogue(), producer)} products published")
    producer.close()
    if not Cluster(settings.job).jobs(settings.job.name):
        with people.status("submitting"):
            people.print(f"job {resume_or_submit(settings)} runs")
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
    people.print(f"  shop page    http://{settings.storefront.host}:{settings.storefront.port}/")
    if prometheus.program():
        people.print(f"  operations   http://{settings.storefront.host}:{settings.storefront.port}/ops")
        people.print(f"  Prometheus   http://127.0.0.1:{settings.stack.prometheus_port}")
    people.print(f"  Flink        {RestAddress.parse(settings.job.rest_url).url}")
    people.print("")


def _watch(demo: Any, seconds: float) -> None:
    begun, warm = time.monotonic(), False
    with live() as drawn:
        while demo.running and (passed := time.monotonic() - begun) < seconds:
            time.sleep(1)
            demo.ask_job()
            if not warm and passed > COLD_SECONDS:
                demo.forget_freshness()
                warm = True
            if sys.stderr.isatty():
                drawn.update(grid("", ("", ""), demo.figures.rows(demo.progress.sent)), refresh=True)
    if not sys.stderr.isatty():
        people.print(grid("", ("", ""), demo.figures.rows(demo.progress.sent)))


def _verify(settings: Settings, demo: Any) -> bool:
    """Lists flowed, came from the model, and the page and the API answer with them."""
    import httpx

    from operators.configuration.loopback import uses_environment_proxies

    shop = f"http://{settings.storefront.host}:{settings.storefront.port}"
    figures, user = demo.figures, next(iter(demo.figures.users), "")
    with httpx.Client(base_url=shop, trust_env=uses_environment_proxies(shop)) as client:
        page, served = client.get("/"), client.get(f"/v1/users/{user}/recommendations")
    checks = {
        f"{demo.progress.sent} events published, {demo.progress.failed} failed": demo.progress.sent
        > 0
        == demo.progress.failed,
        f"{figures.lists} lists received": figures.lists > demo.progress.sent / 10,
        f"{figures.sources['model']} of them by the model": figures.sources["model"] > 0.9 * figures.lists,
        f"freshness p99 {figures.freshness_ms(99):.0f} ms (below 2,000)": figures.freshness_ms(99) < 2000,
        "the shop page answers": page.status_code == 200 and "Liveshelf" in page.text,
        f"the API knows {user}": served.status_code == 200 and served.json()["known"],
    }
    for text, passed in checks.items():
        people.print(f"  {'ok  ' if passed else 'FAIL'} {text}")
    return all(checks.values())
