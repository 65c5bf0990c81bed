"""A shopper whose state was forgotten comes back: readers must show the new list, though its version is lower."""

import time

import httpx

from tests.bad_records import good_event
from tests.running_stack import Stack
from tests.stack.topics import eventually, order

TTL_SECONDS = 8
BRIEF = {"LIVESHELF_JOB__STATE_TTL_DAYS": str(TTL_SECONDS / 86_400)}


def test_a_state_that_was_forgotten_begins_a_new_epoch_and_a_reader_shows_it(stack: Stack, demo_bundle) -> None:
    stack.serve(demo_bundle, BRIEF)
    user, start = f"idle-{time.time_ns()}", stack.topics.ends("shop.recommendations.v1")

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
