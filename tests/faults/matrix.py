"""The page docs/faults.md: its explanation, the faults that another test checks, and the faults that no test runs, with the reason.

`python -m tests.faults.matrix` writes the page from the rows that the last `make faults` recorded. Its arguments become a remark
on the page.
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
    "model swap while the job runs": "not built yet: another bundle is another submission",
    "credentials that expire while the job runs": "no injector yet; tests/stack/security/test_secured_kafka.py has refusals at the start",
    "examples delivered exactly once": "the job writes no examples yet",
    "faults of a GPU (lost device, out of memory)": "the test machine has no GPU",
}
HEAD = """# What was broken, and what held

Each row of the table is one test. Load runs (500 events/s over 5,000 users unless the row says otherwise) and a fault
strikes. The load goes on at least until lists have been fresh for ten seconds. If they are not fresh 70 s after the
fault, the row fails. Then an oracle replays the same events and erasures through the same `step()` in one process,
and the test compares every user.

`make faults` runs all rows and writes this page. `make test-all` runs the rows that are not marked manual, at 150 events/s.

*kept* is `yes` only if every topic was read to its end and each fault is known to have struck; *struck* names the
proof. A count that depends on something that was not read is `unknown`, with the reason in the note. Then the whole
row is `unknown`.

| column | counts |
|---|---|
| events missing | events that the broker acknowledged and its topic does not hold |
| lost | users whose newest list misses one of their events |
| counted twice | users whose newest list counts more events than they have |
| phantoms | users without events who have a list; lists under another user's key |
| written twice | lists that were written again: allowed at least once, 0 exactly once |
| version fell | versions that went back: allowed at least once (readers ignore them), 0 exactly once |
| last record wrong | users whose last record is neither their newest list nor the tombstone of their erasure |
| states differ | users whose list was made from a state whose digest differs from the oracle's |
| scores differ | lists by the model that differ from the same bundle offline, of up to 300 |
| erased listed | users who were erased, sent nothing since, and have a list |
| dead letters wrong | bad records without a dead letter; dead letters of good records, or with a wrong reason or value |
| silence s | longest time without any list |
| recovery s | time from the last fault until p95 freshness stays within 250 ms |
| Flink restart s | time in which not all tasks ran |

If p95 was above 83 ms before the fault, three times that value takes the place of the 250 ms. With exactly-once
delivery 1.5 checkpoint intervals are added.
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
