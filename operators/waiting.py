"""Waiting for something that ends by itself."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_while(ask: Callable[[], T], seconds: float, pause_s: float = 0.2) -> T:
    """Asks until the answer is false, such as an empty list of what is missing, or `seconds` have passed; the last answer."""
    deadline = time.monotonic() + seconds
    while (answer := ask()) and time.monotonic() < deadline:
        time.sleep(pause_s)
    return answer
