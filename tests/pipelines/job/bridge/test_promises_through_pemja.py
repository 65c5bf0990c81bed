"""The operator's timers through the real bridge: one a user, moved, taken back."""

import os
import subprocess
import sys

import pytest

from tests.places import ROOT


@pytest.mark.slow
@pytest.mark.usefixtures("jars")
def test_a_promise_fires_once_and_one_that_was_kept_does_not() -> None:
    command = [sys.executable, "-m", "tests.pipelines.job.bridge.promises_through_pemja"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), *sys.path))}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    fired = [line for line in done.stdout.splitlines() if line.startswith("fired")]
    assert fired == ["fired: b'once'", "fired: b'again'", "fired: b'moved'"]
