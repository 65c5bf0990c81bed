"""Runs many verbs, each in a process of its own, at the cost of one start: `python -m tests.liveshelf.every_verb.verb_runs [base]`.

Reads runs as JSON from stdin: words, environment, folder. Writes for each its exit code, its seconds (but those in which
others had the cores) and its output. The modules are loaded once and each run is a fork; `base`: as if the optional
packages were not installed.
"""

import atexit
import contextlib
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from liveshelf.terminal.extras import EXTRA_OF

AT_ONCE = 8
KILL_S = 120  # wall time: on a machine that others use a verb may stand still
HEAVY = (
    "kafka",
    "httpx",
    "onnxruntime",
    "msgspec",
    "prometheus_client",
    "openlineage.client.event_v2",
    "benchmarks.running_stack.short",
)
OPTIONAL = (
    "torch",
    "onnx",
    "matplotlib",
    "optuna",
    "model_export.training.tuning",
    "model_export.evaluation.evaluate_events",
)


def run(words: list[str], environment: dict[str, str], folder: str, output_file: Path) -> None:
    """In the child: one verb, from its words to the end of the process. Does not return."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    null_descriptor, output_descriptor = (
        os.open(os.devnull, os.O_RDONLY),
        os.open(output_file, os.O_WRONLY | os.O_CREAT),
    )
    for source, descriptor in ((null_descriptor, 0), (output_descriptor, 1), (output_descriptor, 2)):
        os.dup2(source, descriptor)
    sys.argv = ["liveshelf", *words]
    importlib.import_module("deploy.local.jars").expected_sums = dict  # as if the jars were there: nothing is fetched
    code = 0
    try:
        importlib.import_module("liveshelf.main").main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    # as Python ends, but for the modules: to let go of torch's takes longer than the verb
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    with contextlib.suppress(OSError):  # a kernel that does not count it
        busy_ns = Path("/proc/self/schedstat").read_text().split()[1]
        output_file.with_suffix(".busy").write_text(busy_ns)
    os._exit(code)


def main() -> None:
    runs, base = json.load(sys.stdin), sys.argv[1:] == ["base"]
    if base:
        sys.modules.update(dict.fromkeys(EXTRA_OF))  # none of them can be imported or found
    for name in ("liveshelf.main", *HEAVY, *(() if base else OPTIONAL)):
        importlib.import_module(name)
    scratch = Path(tempfile.mkdtemp())
    answers: list[dict[str, Any]] = [{} for _ in runs]
    queue, children = list(enumerate(runs)), dict[int, tuple[int, float]]()
    while queue or children:
        while queue and len(children) < AT_ONCE:
            number, verb_run = queue.pop(0)
            started_s, child = time.monotonic(), os.fork()
            if not child:
                run(verb_run["words"], verb_run["environment"], verb_run["folder"], scratch / str(number))
            children[child] = (number, started_s)
        child, status = os.waitpid(-1, os.WNOHANG)
        if child:
            number, started_s = children.pop(child)
            output = (scratch / str(number)).read_text(errors="replace")
            busy = scratch / f"{number}.busy"
            seconds = time.monotonic() - started_s - (int(busy.read_text()) / 1e9 if busy.exists() else 0)
            answers[number] = {"code": os.waitstatus_to_exitcode(status), "seconds": seconds, "output": output}
        else:
            for child in [child for child, (_, started_s) in children.items() if time.monotonic() - started_s > KILL_S]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            time.sleep(0.01)
    shutil.rmtree(scratch)
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
