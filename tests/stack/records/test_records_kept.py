"""What is kept of acts and of events: the audit log, the export for training."""

import json
import threading
import time
from pathlib import Path

import pytest

from operators.records.contracts import AUDIT
from pipelines.provenance.audit_chain import first_break
from pipelines.provenance.audit_log import append, read_log
from tests.bad_records import good_event
from tests.running_stack import Stack
from tests.stack.topics import eventually


def test_acts_are_in_the_audit_log_without_the_shoppers_name(stack: Stack, job: str) -> None:
    now = int(time.time() * 1000)
    stack.topics.publish([good_event(now, event_id=f"audit{now}", user_id="anna-audit", item_id="85123A")])
    eventually(lambda: (stack.topics.newest_lists().get("anna-audit") or (None,))[0])
    stack.liveshelf("erase", "anna-audit")
    log = json.loads(stack.liveshelf("audit", "list", "--json", "--last", "200").stdout)
    verbs = [act["verb"] for act in log]
    assert verbs[-1] == "erase" and "submit" in verbs
    submitted = next(act for act in reversed(log) if act["verb"] == "submit")
    assert submitted["what"]["job_id"] == job and submitted["what"]["bundle"].startswith("online-retail ")
    assert "anna-audit" not in json.dumps(log)
    assert "whole" in stack.liveshelf("audit", "verify").stderr


def test_two_who_write_at_once_do_not_fork_the_log(stack: Stack, job: str) -> None:
    before = len(read_log(stack.settings.kafka))
    threads = [
        threading.Thread(target=append, args=(stack.settings.kafka, "test", {"number": number})) for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    log = read_log(stack.settings.kafka)
    assert first_break(log) is None
    assert len(log) == before + 4
    assert {act.what["number"] for act in log[before:]} == {"0", "1", "2", "3"}


def test_a_forged_record_is_found(stack: Stack, job: str) -> None:
    assert first_break(read_log(stack.settings.kafka)) is None
    forged = json.dumps({"at": 1, "who": "x", "verb": "erase", "what": {}, "previous": "0" * 64, "hash": "0" * 64})
    stack.topics.send(AUDIT, "audit", forged.encode())
    stack.topics.producer.flush()
    said = stack.liveshelf("audit", "verify", ok=False).stderr
    assert "it follows" in said


def test_the_topic_becomes_a_file_that_says_where_it_comes_from(stack: Stack, job: str, tmp_path: Path) -> None:
    now = int(time.time() * 1000)
    stack.topics.publish([good_event(now, event_id=f"export{now}-{n}", user_id=f"export{n}") for n in range(7)])
    out = tmp_path / "events.jsonl"
    told = json.loads(stack.liveshelf("events", "--out", str(out), "--hours", "1", "--json").stdout)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(lines) == told["events"] and {f"export{n}" for n in range(7)} <= {line["user_id"] for line in lines}
    origin = json.loads((tmp_path / "events.jsonl.origin.json").read_text())
    ends = {str(p.partition): end for p, end in stack.topics.ends("shop.events.v1").items()}
    assert {number: end for number, (_, end) in origin["offsets"].items()} == ends
    page = tmp_path / "profile.html"
    stack.liveshelf("profile", "--out", str(page), "--hours", "1")
    assert page.read_text().count("<svg") >= 3


@pytest.mark.usefixtures("job")
def test_the_logs_of_all_parts_are_one(stack: Stack) -> None:
    lines = stack.liveshelf("logs", "-n", "200000").stdout.splitlines()
    assert len({line.split()[0] for line in lines}) >= 4
