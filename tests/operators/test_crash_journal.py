import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from operators.crash_journal import GUILTY_SECONDS, SIZE, CrashesTheProcess, CrashJournal
from operators.list_maker import Request

POISON = "poison"


def requests(*users: str) -> list[Request]:
    return [Request(user, b"", 0) for user in users]


def names(asked: list[Request]) -> list[str]:
    return [request.user_id.upper() for request in asked]


def died(file: Path, *users: str) -> None:
    """A real process scores these users and is killed while the poison is scored."""
    script = (
        "import os, signal, sys, time\n"
        "from pathlib import Path\n"
        "from operators.crash_journal import CrashJournal\n"
        "from tests.operators.test_crash_journal import POISON, names, requests\n"
        "def score(asked):\n"
        "    if any(r.user_id == POISON for r in asked):\n"
        "        os.kill(os.getpid(), signal.SIGSEGV)\n"
        "    return names(asked)\n"
        "CrashJournal(Path(sys.argv[1]), time.time).score(requests(*sys.argv[2:]), score)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(file), *users], env=os.environ | {"PYTHONPATH": os.getcwd()}
    )
    assert done.returncode == (-signal.SIGSEGV if POISON in users else 0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "journal" / "crashes"


def test_without_a_crash_everyone_is_scored_together(file: Path) -> None:
    batches: list[int] = []
    journal = CrashJournal(file, lambda: 0.0)
    made = journal.score(requests("a", "b"), lambda asked: batches.append(len(asked)) or names(asked))
    assert made == ["A", "B"]
    journal.close()
    again = CrashJournal(file, lambda: 0.0)
    assert again.score(requests("a", "b"), lambda asked: batches.append(len(asked)) or names(asked)) == ["A", "B"]
    assert batches == [2, 2]


def test_who_was_in_flight_is_scored_alone_once(file: Path) -> None:
    died(file, "a", POISON, "b")
    batches: list[list[str]] = []
    journal = CrashJournal(file, lambda: 0.0)

    def score(asked: list[Request]) -> list[str]:
        batches.append(names(asked))
        return names(asked)

    assert journal.score(requests("a", "c", "d"), score) == ["A", "C", "D"]
    assert journal.score(requests("a", "c"), score) == ["A", "C"]
    assert batches == [["A"], ["C", "D"], ["A", "C"]]


def test_a_request_that_kills_the_process_does_it_twice_and_costs_that_user_alone_the_model(file: Path) -> None:
    died(file, "a", POISON, "b")
    died(file, "a", POISON, "b")
    journal = CrashJournal(file, lambda: 100.0)
    made = journal.score(requests("a", POISON, "b"), names)
    assert made[0] == "A"
    assert isinstance(made[1], CrashesTheProcess)
    assert made[2] == "B"


def test_after_an_hour_the_guilty_is_tried_again(file: Path) -> None:
    died(file, POISON)
    died(file, POISON)
    now = [0.0]
    journal = CrashJournal(file, lambda: now[0])
    assert isinstance(journal.score(requests(POISON), names)[0], CrashesTheProcess)
    now[0] = GUILTY_SECONDS + 10.0
    assert journal.score(requests(POISON), names) == ["POISON"]


def test_a_verdict_outlives_further_restarts(file: Path) -> None:
    died(file, POISON)
    died(file, POISON)
    CrashJournal(file, lambda: 0.0).close()
    assert isinstance(CrashJournal(file, lambda: 0.0).score(requests(POISON), names)[0], CrashesTheProcess)


def test_a_damaged_file_is_begun_anew(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"x" * 10)
    assert CrashJournal(file, lambda: 0.0).score(requests("a"), names) == ["A"]
    file.write_bytes(b"\xff" * SIZE)
    assert CrashJournal(file, lambda: 0.0).score(requests("a"), names) == ["A"]
