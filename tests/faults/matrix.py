"""What the fault matrix asks beside its own rows: rows that another test holds, and rows that are not run, and why.

`python -m tests.faults.matrix` writes docs/faults.md from the rows that the last `make faults` recorded; its
arguments are a remark on the page.
"""

import sys
import time

from benchmarks.faults.report import markdown, read_rows
from benchmarks.measuring.machine import describe
from tests.faults.conftest import REPORT
from tests.running_stack import ROOT

ELSEWHERE = {
    "crash, replay, duplicate, reorder, hang, erasure at every step (2,000 schedules)": "tests/operators/refresh/test_crash_simulation.py",
    "state of another execution mode, or a changed uid": "tests/stack/records/test_job_equals_oracle.py: refused",
    "states of both layouts read the same": "tests/operators/shopper/test_state_layout.py, golden files",
    "every kind of bad record is one dead letter": "tests/stack/records/test_bad_records.py",
    "a bundle that is corrupt, truncated, or gives NaN on its golden inputs": "tests/operators/model/test_model_bundle.py: refused",
    "a stopped job gives back port, thread and table": "tests/stack/records/test_job_equals_oracle.py",
}
NOT_RUN = {
    "model swap while the job runs": "there is no rollout yet; another bundle is another submission",
    "credentials expired": "the local broker has no security yet",
    "examples delivered exactly once": "the job writes no examples yet",
    "anything on a GPU": "no GPU was at hand",
}
HEAD = """# What was broken, and what held

Each row: load runs (500 events/s over 5,000 users unless the row says otherwise), a fault happens, the load goes on at
least until lists have been fresh for ten seconds (or, 70 s after the fault, are not: then the row fails), and an oracle
replays the same events and erasures through the same `step()` in one process. `make faults` runs all of it and writes this
page; the rows that are not marked slow run in `make test`, at 150 events/s.

*Kept* is `yes` only where everything was read to its end and each fault is known to have struck; *struck* says how that is
known. A count that rests on something that was not read is `unknown`, with the reason in the note, and so is the row.

| column | counts |
|---|---|
| events missing | events that the broker acknowledged and its topic does not hold |
| lost, twice | users whose newest list does not know all their events; users with a list that knows more |
| phantoms | users who sent nothing and have a list; lists under another user's key |
| written twice, fell | lists that were written again, versions that went back: allowed at least once (readers ignore a version below the newest they know), 0 exactly once |
| ends wrong | users whose last record is not their newest list, or not the tombstone of their erasure |
| states differ | users whose list was made from a state with another fingerprint than the oracle's |
| scores differ | up to 300 lists by the model, against the same bundle offline |
| erased listed | users who were erased, did nothing since, and have a list |
| letters wrong | bad records without a dead letter, dead letters of good records, or with another reason or value |
| silence s | the longest time without any list |
| fresh again s | from the last fault to p95 freshness within 250 ms for good (three times what it was before the fault where that is more; exactly once: 1.5 checkpoint intervals more) |
| Flink's restart s | the time in which not all tasks ran |
"""


def main() -> None:
    """Writes the page."""
    rows = read_rows(REPORT)
    machine = describe()
    when = time.strftime("%Y-%m-%d", time.gmtime())
    remarks = " ".join(sys.argv[1:])
    said = f"Run on {when}; {', '.join(f'{name} {value}' for name, value in machine.items())}. {remarks}"
    (ROOT / "docs" / "faults.md").write_text(HEAD + "\n" + markdown(rows, ELSEWHERE, NOT_RUN, said))


if __name__ == "__main__":
    main()
