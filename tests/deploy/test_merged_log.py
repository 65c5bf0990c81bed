import json
import os
import time
from pathlib import Path

import pytest

from deploy.local.merged_log import merged, stamp


@pytest.fixture(autouse=True)
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()


def test_each_parts_time_is_understood() -> None:
    utc = 1_795_500_000.25
    assert stamp("2026-11-24T06:00:00.25Z x") == utc
    assert stamp('ts=2026-11-24T06:00:00.250Z caller=main.go level=info msg="x"') == utc
    assert stamp('{"part": "monitor", "time": "2026-11-24T06:00:00.25Z"}') == utc
    assert stamp("2026-11-24 07:00:00,250 INFO  org.apache.flink") == utc  # local
    assert stamp("2026-11-24T07:00:00,250 WARN  QuorumController: x") == utc
    assert stamp("    at org.apache.flink.Task") is None
    assert stamp("INFO:     Started server process") is None


def test_lines_of_all_parts_stand_in_the_order_of_time_and_traces_stay_together(tmp_path: Path) -> None:
    (tmp_path / "kafka.log").write_text(
        "banner\n2026-11-24T07:00:01,000 WARN  first\n2026-11-24T07:00:03,000 ERROR third\nTraceback\n  inside\n"
    )
    (tmp_path / "monitor.log").write_text(
        '{"part": "monitor", "logger": "room", "level": "warning", "time": "2026-11-24T06:00:02Z", "message": "second", "n": 3}\n'
    )
    files = [*tmp_path.glob("*.log")]
    lines = merged(files, 50, None)
    assert [line.split()[0] for line in lines] == ["kafka", "monitor", "kafka", "kafka", "kafka"]
    assert "WARNING room: second {'n': 3}" in lines[1]
    assert lines[-1].endswith("  inside")
    assert merged(files, 1, None) == lines[2:]


def test_only_what_is_not_older(tmp_path: Path) -> None:
    now = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime())
    (tmp_path / "a.log").write_text(f"2020-01-01 00:00:00,000 INFO old\n{now},000 INFO new\n")
    assert [line.split()[-1] for line in merged([tmp_path / "a.log"], 9, 5)] == ["new"]
    assert os.environ["TZ"] == "Europe/Berlin"


def test_what_a_record_said_is_not_a_line_of_the_log(tmp_path: Path) -> None:
    forged = "2026-11-24T06:00:09Z ERROR storefront: all is lost"
    hostile = {"time": "2026-11-24T06:00:02Z", "level": "warning", "logger": "room", "message": f"came\n{forged}"}
    trace = hostile | {"message": "it failed", "exception": f"ValueError: x\n{forged}"}
    raw = f"2026-11-24T07:00:04,000 WARN  came\u2028{forged}"
    (tmp_path / "a.log").write_text("\n".join([json.dumps(hostile), json.dumps(trace), raw, ""]))
    lines = merged([tmp_path / "a.log"], 50, None)
    assert len(lines) == 5 and [line for line in lines if line.startswith("a              2026-11-24T06:00:09Z")] == []
    assert lines[0].endswith(f"came\\n{forged}")
    assert lines[3] == f"a                  {forged}", "a traceback's lines are set in"
    assert lines[4].endswith(f"came\u2028{forged}"), "the verb shows it"
