"""Small worlds for tests."""

from typing import Any

from benchmarks.simulator.drift import Drift
from benchmarks.simulator.world import Shop, World

SMALL: dict[str, Any] = {"seed": 3, "shoppers": 300, "items": 200, "categories": 8}


def small_world(drift: Drift | None = None, **shop: Any) -> World:
    """A shop of 300 shoppers and 200 items."""
    return World(Shop(**(SMALL | shop)), drift)
