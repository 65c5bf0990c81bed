"""Checks after a demo: lists came, the model made them, the page and the API answer."""

import httpx

from operators.configuration.loopback import uses_environment_proxies
from pipelines.demo.demo_run import DemoRun

FRESH_MS = 2000


def demo_checks(demo: DemoRun, shop: str) -> dict[str, bool]:
    """Sentence -> whether it holds. `shop`: the storefront's address. Raises `httpx.HTTPError`."""
    figures, progress, user = demo.figures, demo.progress, next(iter(demo.figures.users), "")
    with httpx.Client(base_url=shop, trust_env=uses_environment_proxies(shop)) as client:
        page, served = client.get("/"), client.get(f"/v1/users/{user}/recommendations")
    by_model, p99_ms = figures.sources["model"], figures.freshness_ms(99)
    return {
        f"{progress.sent} events published, {progress.failed} failed": progress.sent > 0 == progress.failed,
        f"{figures.lists} lists received": figures.lists > progress.sent / 10,
        f"{by_model} of them by the model": by_model > 0.9 * figures.lists,
        f"freshness p99 {p99_ms:.0f} ms (below {FRESH_MS:,})": p99_ms < FRESH_MS,
        "the shop page answers": page.status_code == 200 and "Liveshelf" in page.text,
        f"the API knows {user}": served.status_code == 200 and served.json()["known"],
    }
