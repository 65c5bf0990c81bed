"""Scorer processes that do something bad for one user, and operators in a process of their own."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

HOLDS, LOSES = "holds the lock", "loses the device"


def write_holding_python(file: Path) -> str:
    """While the user `HOLDS` is scored, native code hangs and holds Python's own lock."""
    return write_python(file, HOLDS, "ctypes.PyDLL(None).sleep(1000)")


def write_python(file: Path, user: str, deed: str) -> str:
    """Stands for the interpreter: it does `deed` before it makes lists for `user`; `self` is the list maker."""
    file.write_text(
        f"#!{sys.executable}\n"
        "import ctypes, runpy, sys\n"
        "from operators.lists.list_maker import ListMaker\n"
        "make = ListMaker.make_encoded\n"
        "def doing(self, requests, **options):\n"
        f"    if any(one.user_id == {user!r} for one in requests):\n"
        f"        {deed}\n"
        "    return make(self, requests, **options)\n"
        "ListMaker.make_encoded = doing\n"
        "sys.argv = sys.argv[3:]  # after -P -m\n"
        "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)\n"
    )
    file.chmod(0o700)
    return str(file)


OPERATOR = (
    "import sys\n"
    "from operators.settings import ScorerSettings, Settings\n"
    "from pipelines.scoring.links import link_of\n"
    "from pipelines.scoring.process import ScorerProcess\n"
    "from pipelines.scoring.wire import Handshake\n"
    "from tests.pipelines.scoring.scorer_requests import ask, asked\n"
    "bundle, journal, python, path, kill_after_ms, user, item = sys.argv[1:]\n"
    "scorer = ScorerSettings(provider='cpu', metrics_port=19445, kill_after_ms=int(kill_after_ms))\n"
    "begin = Handshake(Settings.model_construct(scorer=scorer).model_dump(), bundle, '0', journal)\n"
    "process = ScorerProcess(link_of(python, path), begin, 60, lambda ready: None)\n"
    "process.ready()\n"
    "print('scorer', process._link.pid, flush=True)\n"
    "ask(process, asked(user, item=item))\n"
)


@contextmanager
def operator_process(*words: str) -> Iterator[tuple["subprocess.Popen[str]", psutil.Process]]:
    """A process that stands for a TaskManager and asks for a list, and its scorer. Both are gone afterwards."""
    command = [sys.executable, "-c", OPERATOR, *words]
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as operator:
        assert operator.stdout is not None
        scorer = psutil.Process(next(int(line.split()[1]) for line in operator.stdout if line.startswith("scorer ")))
        try:
            yield operator, scorer
        finally:
            for one in (operator, scorer):
                with suppress(psutil.NoSuchProcess):
                    one.kill()
