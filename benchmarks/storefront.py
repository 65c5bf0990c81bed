"""Look-ups of lists over HTTP while lists flow in: `wrk` asks for random users of the load."""

import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from typing import Any

import msgspec

from benchmarks.load import Load, in_the_background
from benchmarks.machine import cpu_seconds, describe
from benchmarks.throughput import backlog
from deploy.local.layout import tool
from operators.errors import StackError
from operators.settings import Settings

CONNECTIONS, USERS, WARM_S = 8, 5_000, 15.0
SCRIPT = """
math.randomseed(7)
request = function()
  return wrk.format("GET", "/v1/users/{tag}-" .. math.random(0, {last}) .. "/recommendations")
end
"""
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


def measure(
    settings: Settings,
    items: list[str],
    pids: Callable[[], dict[str, int]],
    rate: float,
    seconds: float,
    known: Load | None = None,
) -> dict[str, Any]:
    """Requests/s and latencies in ms at `rate` lists/s; the job and the storefront must run.

    `known`: a load whose users have lists already; they need not be made first.
    """
    warm_s = 2.0 if known else WARM_S
    load = known or backlog(settings, items, 0, USERS)
    # its events before have smaller numbers
    load = msgspec.structs.replace(load, count=int(rate * (warm_s + seconds + 3)), rate=rate, first=1 << 40)
    generator = in_the_background(load)
    try:
        time.sleep(warm_s)  # every user has a list
        before, running = cpu_seconds(pids()), pids()
        told = _wrk(settings, load, seconds)
        used = {part: value - before[part] for part, value in cpu_seconds(running).items()}
    finally:
        generator.terminate()
        generator.wait()
    return {
        "bench": "storefront",
        "lists_per_s": rate,
        "connections": CONNECTIONS,
        "seconds": seconds,
        **told,
        "cores_used": {part: round(value / seconds, 2) for part, value in used.items()},
        "machine": describe(),
    }


def _wrk(settings: Settings, load: Load, seconds: float) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT.format(tag=load.tag, last=load.users - 1))
        script.flush()
        url = f"http://127.0.0.1:{settings.storefront.port}"
        command = [
            tool("wrk", "wrk"),
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{seconds:.0f}s",
            "--latency",
            "-s",
            script.name,
            url,
        ]
        return parsed(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def parsed(text: str) -> dict[str, Any]:
    """What wrk printed: requests/s, latencies in ms, answers that were not 2xx. Raises `StackError` without figures."""
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    latencies = dict(re.findall(r"^\s+(\d+)%\s+([\d.]+[a-z]+)$", text, re.M))
    if not rate or not latencies:
        raise StackError("figures of wrk", text[-300:], "liveshelf logs storefront")
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return {
        "requests_per_s": float(rate[1]),
        "latency_ms": {f"p{share}": _ms(found) for share, found in latencies.items()},
        "failed": int(failed[1]) if failed else 0,
    }


def _ms(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)(us|ms|s)", text)
    assert found is not None, text
    return round(float(found[1]) * _UNITS[found[2]], 3)
