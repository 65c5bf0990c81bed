"""Measures look-ups of lists over HTTP while the job writes lists: `wrk` asks for random users of the load."""

import re
import subprocess
import tempfile
import time
from typing import Any

import msgspec

from benchmarks.measuring.conditions import Parts
from benchmarks.measuring.load import MIN_RATE_SHARE, Load, in_the_background, rate_violations, report_of
from benchmarks.measuring.machine import describe
from benchmarks.measuring.measured import measured_unless, rounded
from benchmarks.running_stack.throughput import RecordCount, backlog
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
    parts: Parts,
    rate: float,
    seconds: float,
    known_load: Load | None = None,
) -> dict[str, Any]:
    """Requests/s and latencies in ms at `rate` lists/s; the job and the storefront must run.

    `known_load`: a load whose users already have lists, which shortens the warm-up. Nothing is measured if an answer was an
    error (errors are quick), if fewer lists were written, or if the stack changed. Raises `BrokerError` if the load did not
    reach the broker.
    """
    warm_s = 2.0 if known_load else WARM_S
    load = known_load or backlog(settings, items, 0, USERS)
    # earlier events of the load have smaller numbers
    load = msgspec.structs.replace(load, count=int(rate * (warm_s + seconds + 3)), rate=rate, first=1 << 40)
    generator = in_the_background(load)
    try:
        time.sleep(warm_s)  # until every user has a list
        figures, answers, reasons = _look_up(settings, load, parts, rate, seconds)
    finally:
        generator.terminate()
    return {
        "bench": "storefront",
        "rate": rate,
        "connections": CONNECTIONS,
        "seconds": seconds,
        **measured_unless(reasons + rate_violations(report_of(generator), rate), figures),
        "failed": answers["failed"],
        "timed_out": answers["timed_out"],
        "machine": describe(),
    }


def _look_up(
    settings: Settings, load: Load, parts: Parts, rate: float, seconds: float
) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Runs wrk: (figures, wrk's report, reasons why the figures are invalid)."""
    with RecordCount(settings) as list_count:
        interval, start, started_s = parts.from_now(), list_count(), time.monotonic()
        answers = _wrk(settings, load, seconds)
        cpu_s, seconds_taken, lists = interval.cpu_s(), time.monotonic() - started_s, list_count() - start
    reasons = interval.find_violations() + failures(answers)
    if lists < MIN_RATE_SHARE * rate * seconds_taken:
        reasons.append(f"{lists / seconds_taken:.0f} lists/s flowed in instead of {rate:.0f}")
    figures = {
        "lists_per_s": round(lists / seconds_taken, 1),
        "requests_per_s": answers["requests_per_s"],
        "latency_ms": answers["latency_ms"],
        "cores_used": {part: rounded(value / seconds_taken, 2) for part, value in cpu_s.items()},
    }
    return figures, answers, reasons


def failures(answers: dict[str, Any]) -> list[str]:
    """The reasons why wrk's figures are invalid; empty if they are valid."""
    names = {"failed": "answers were errors", "timed_out": "requests had no answer"}
    problems = [f"{answers[name]} {problem}" for name, problem in names.items() if answers[name]]
    return problems if answers["requests_per_s"] else ["no look-up was answered", *problems]


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
        process = subprocess.run(command, capture_output=True, text=True)
        return parsed(process.stdout if process.returncode == 0 else f"exit {process.returncode}: {process.stderr}")


def parsed(text: str) -> dict[str, Any]:
    """Parses wrk's output: requests/s, latencies in ms, answers other than 2xx, and requests without an answer.

    Raises `StackError` if it has no figures.
    """
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    latencies = dict(re.findall(r"^\s+(\d+)%\s+([\d.]+[a-z]+)$", text, re.M))
    if not rate or not latencies:
        raise StackError("figures of wrk", text[-300:], "liveshelf logs storefront")
    error_answers = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    socket_errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    return {
        "requests_per_s": float(rate[1]),
        "latency_ms": {f"p{share}": _ms(latency) for share, latency in latencies.items()},
        "failed": int(error_answers[1]) if error_answers else 0,
        "timed_out": sum(map(int, socket_errors.groups())) if socket_errors else 0,
    }


def _ms(text: str) -> float:
    match = re.fullmatch(r"([\d.]+)(us|ms|s)", text)
    assert match is not None, text
    return round(float(match[1]) * _UNITS[match[2]], 3)
