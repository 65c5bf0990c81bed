"""Polls until a condition ends."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_while(ask: Callable[[], T], seconds: float, pause_s: float = 0.2) -> T:
    """Calls `ask` until it returns a false value, such as an empty list, or `seconds` have passed. Returns the last answer."""
    deadline = time.monotonic() + seconds
    while (answer := ask()) and time.monotonic() < deadline:
        time.sleep(pause_s)
    return answer
