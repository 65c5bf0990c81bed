"""One submission with other settings than the other tests': states that are forgotten after seconds, and traces."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from operators.records.contracts import RECOMMENDATIONS
from tests.bad_records import good_event
from tests.operators.telemetry.test_tracing import SPAN, TRACE, running_collector
from tests.running_stack import Stack
from tests.stack.topics import eventually, order

pytestmark = pytest.mark.slow
TTL_SECONDS = 8


@pytest.fixture(scope="module")
def spans(stack: Stack, demo_bundle: Path) -> Iterator[list]:
    """What the job's collector got; the job forgets a state after `TTL_SECONDS`."""
    with running_collector() as (address, collected):
        brief = {"LIVESHELF_JOB__STATE_TTL_DAYS": str(TTL_SECONDS / 86_400)}
        stack.serve(demo_bundle, brief | {"LIVESHELF_TRACING__OTLP_ENDPOINT": address})
        yield collected


def test_a_sampled_event_is_traced_through_the_job(stack: Stack, spans: list) -> None:
    now = int(time.time() * 1000)
    traced = good_event(now, event_id=f"trace{now}", user_id="traced", item_id="85123A")
    stack.topics.publish([traced | {"traceparent": f"00-{TRACE}-{SPAN}-01"}])
    made, _ = eventually(lambda: (found := stack.topics.newest_lists().get("traced")) and found)
    assert made["traceparent"] == f"00-{TRACE}-{SPAN}-01"
    eventually(
        lambda: {"list", "publish", "read", "state", "wait", "score", "rank", "emit"} <= {s.name for s in spans}, 60
    )
    assert {span.trace_id.hex() for span in spans} == {TRACE}


def test_a_state_that_was_forgotten_begins_a_new_epoch_and_a_reader_shows_it(stack: Stack, spans: list) -> None:
    user, start = f"idle-{time.time_ns()}", stack.topics.ends(RECOMMENDATIONS)

    def publish(name: str, item: str) -> None:
        stack.topics.publish([good_event(int(time.time() * 1000), event_id=name, user_id=user, item_id=item)])

    def shown() -> dict:
        return httpx.get(f"{stack.shop}/v1/users/{user}/recommendations").json()

    for number in range(5):
        publish(f"before{number}", "85123A")
    before = eventually(lambda: (made := shown())["known"] and made["version"] == 5 and made)
    time.sleep(TTL_SECONDS + 1)
    publish("after", "22423")
    after = eventually(lambda: (made := shown())["event_id"] == "after" and made)
    assert (after["version"], after["epoch"] > before["epoch"]) == (1, True)
    assert {item["reason"].get("item_id") for item in after["items"]} <= {None, "22423"}, "what was forgotten stays so"
    made, _ = stack.topics.newest_lists(start)[user]
    assert made is not None and order(made) == (after["epoch"], 1)
    publish("after2", "22423")
    eventually(lambda: (made := shown())["version"] == 2 and made["epoch"] == after["epoch"])
