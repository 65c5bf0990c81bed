"""What the fault matrix asks beside its own rows: rows that another test holds, and rows that are not run, and why.

`python -m tests.faults.matrix` writes docs/faults.md from the rows that the last `make faults` recorded; its
arguments are a remark on the page.
"""

import sys
import time

from benchmarks.faults.report import markdown, read_rows
from benchmarks.machine import describe
from tests.faults.conftest import REPORT
from tests.running_stack import ROOT

ELSEWHERE = {
    "crash, replay, duplicate, reorder, hang, erasure at every step (2,000 schedules)": "tests/operators/test_crash_simulation.py",
    "state of another execution mode, or a changed uid": "tests/stack/test_job_equals_oracle.py: refused",
    "states of both layouts read the same": "tests/operators/test_user_state.py, golden files",
    "every kind of bad record is one dead letter": "tests/stack/test_bad_records.py",
    "a bundle that is corrupt, truncated, or gives NaN on its golden inputs": "tests/operators/test_model_bundle.py: refused",
    "a stopped job gives back port, thread and table": "tests/stack/test_job_equals_oracle.py",
}
NOT_RUN = {
    "model swap while the job runs": "there is no rollout yet; another bundle is another submission",
    "credentials expired": "the local broker has no security yet",
    "examples delivered exactly once": "the job writes no examples yet",
    "anything on a GPU": "no GPU was at hand",
}
HEAD = """# What was broken, and what held

Each row: load runs (500 events/s over 5,000 users unless the row says otherwise), a fault happens, the load goes on at
least until lists have been fresh for ten seconds (or, 70 s after the fault, are not: then the row fails), and an oracle replays the same events through the same `step()` in one process. `make faults` runs all of it and writes this
page; the rows that are not marked slow run in `make test`, at 150 events/s. Users count as *lost* when their newest list does not know
all their events, as *twice* when it knows more, as *states differ* when the state that the list was made from has another
fingerprint than the oracle's. *Written twice* and *fell* count lists that were written again and versions that went
back: allowed at least once (readers ignore a version below the newest they know), 0 exactly once. *Silence* is the longest
time without any list, *fresh again* the time from the (last) fault to p95 freshness within 250 ms for good (three times what
it was before the fault where that is more; exactly once: 1.5 checkpoint intervals more), *Flink's restart* the time in which not all tasks ran.
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
