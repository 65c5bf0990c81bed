"""Fuzzers for a while: decode and step, the bundle loader, the storefront's HTTP. `make fuzz` runs them for longer."""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.faults.verdict import Verdict
from tests.faults.conftest import record
from tests.running_stack import ROOT, Stack

pytestmark = pytest.mark.slow
SECONDS = os.environ.get("FUZZ_SECONDS", "8")
MEMORY_MB = 2048  # that a fuzzer may take


@pytest.mark.parametrize("target", ["decode_and_step", "bundle"])
def test_no_input_makes_an_unexpected_error(target: str, tmp_path: Path) -> None:
    # libFuzzer asks the kernel for the peak of its memory, and a child begins with the peak of the process that starts it
    limit = MEMORY_MB + resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    command = [sys.executable, "-m", f"tests.fuzz.{target}", f"-max_total_time={SECONDS}", "-max_len=2000"]
    command.append(f"-rss_limit_mb={limit}")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    runs = done.stderr.rsplit("Done ", 1)[1].split()[0]
    record({"name": f"fuzzing {target}", "note": f"{runs} inputs in {SECONDS} s", "verdict": Verdict.KEPT})


def test_no_request_makes_a_server_error(stack: Stack, job: str, tmp_path: Path) -> None:
    """Requests of all kinds from the storefront's own OpenAPI page; what it answers is what the page says."""
    checks = (
        "not_a_server_error",
        "response_schema_conformance",
        "status_code_conformance",
        "content_type_conformance",
    )
    command = [str(Path(sys.executable).parent / "schemathesis"), "run", f"{stack.shop}/openapi.json", "--no-color"]
    command += ["--exclude-path-regex", "stream", "--seed", "7", "--max-examples", "60", "--request-timeout", "15"]
    for check in checks:
        command += ["-c", check]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "Unresolvable" not in done.stdout
    cases = re.search(r"(\d+) generated", done.stdout)
    record({"name": "fuzzing the storefront's HTTP", "note": f"{cases and cases[1]} requests", "verdict": Verdict.KEPT})
