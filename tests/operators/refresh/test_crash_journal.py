import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from operators.errors import StackError
from operators.lists.request import Request
from operators.refresh.crash_journal import GUILTY_SECONDS, RETENTION_SECONDS, SIZE, CrashesTheProcess, CrashJournal

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
        "from operators.refresh.crash_journal import CrashJournal\n"
        "from tests.operators.refresh.test_crash_journal import POISON, names, requests\n"
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


def test_it_belongs_to_this_user_alone(file: Path) -> None:
    CrashJournal(file, lambda: 0.0).close()
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


def test_a_link_in_its_place_is_refused_and_what_it_leads_to_is_untouched(file: Path, tmp_path: Path) -> None:
    """Whoever can write to a folder with a name that can be guessed would have any file of ours emptied."""
    ours = tmp_path / "ours"
    ours.write_text("precious")
    file.parent.mkdir()
    file.symlink_to(ours)
    with pytest.raises(StackError, match="crash journal of this user"):
        CrashJournal(file, lambda: 0.0)
    assert ours.read_text() == "precious"
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(StackError, match="no plain file"):
        CrashJournal(file, lambda: 0.0)


def test_another_users_file_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    CrashJournal(file, lambda: 0.0).close()
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(StackError, match=f"uid {owner}"):
        CrashJournal(file, lambda: 0.0)


def test_the_journals_of_bundles_that_serve_no_longer_are_removed_after_a_day(tmp_path: Path) -> None:
    now = [time.time()]

    def journal(version: int) -> CrashJournal:
        return CrashJournal(tmp_path / f"job-0-shop-{version}.crashes", lambda: now[0])

    serving = journal(1)
    for version in range(2, 9):
        journal(version).close()
    (tmp_path / "other").touch()
    os.mkfifo(tmp_path / "pipe.crashes")  # opening it to read would wait for a writer
    now[0] += RETENTION_SECONDS / 2
    journal(9).close()
    assert len(list(tmp_path.iterdir())) == 11
    now[0] += RETENTION_SECONDS
    journal(10).close()
    (tmp_path / "pipe.crashes").unlink(missing_ok=True)
    left = sorted(file.name for file in tmp_path.iterdir())
    assert left == ["job-0-shop-1.crashes", "job-0-shop-10.crashes", "other"], "one that is in use stays"
    serving.close()
