"""What shoppers ask for reaches the topic of items, the lists of strangers, and survives a kill of the TaskManager."""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmarks.faults.fault import Fault
from operators.records.contracts import CATALOGUE, ITEMS, RECOMMENDATIONS, CatalogueItem, encode_record
from storefront.services import Services
from tests.running_stack import Stack
from tests.stack.topics import eventually

pytestmark = pytest.mark.slow
COUNTING = {"LIVESHELF_DEMAND__ENABLED": "true"}
KNOWN_ITEM, OTHER_ITEM, LIFTED_ITEM = "85123A", "22423", "90019A"  # of the demo's bundle
WITHIN_S = 60  # a flash sale among what strangers are shown


@pytest.fixture(scope="module")
def counting(stack: Stack, demo_bundle: Path) -> str:
    """A job that counts, from the state of one that does not."""
    stack.serve(demo_bundle)
    return stack.serve(demo_bundle, COUNTING)


class Crowd:
    """Shoppers of this test alone, and what each item must have been asked for."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self._name, self._number = stack, f"dem{time.time_ns()}", 0
        self.asked: dict[str, Counter[str]] = {}
        self.probed: set[str] = set()

    def is_counted(self, item: str) -> bool:
        """Sends a view that no test counts; whether an earlier one came."""
        self._number += 1
        user = f"{self._name}-probe{self._number}"
        own = {"event_id": f"{user}-e", "event_type": "view", "event_time": int(time.time() * 1000), "user_id": user}
        self._stack.topics.publish([own | {"item_id": item}])
        self.probed.add(item)
        return item in newest(self._stack)

    def do(self, kind: str, item: str, times: int = 1, **fields: Any) -> None:
        """Each of so many shoppers does it, and each client sends it twice."""
        events = []
        for _ in range(times):
            self._number += 1
            user = f"{self._name}-{self._number}"
            own = {"event_id": f"{user}-e", "event_type": kind, "event_time": int(time.time() * 1000), "user_id": user}
            events += [own | {"item_id": item} | fields] * 2
            self.asked.setdefault(item, Counter())[kind] += 1
        self._stack.topics.publish(events)


def newest(stack: Stack) -> dict[str, dict[str, Any]]:
    return {record.key.decode(): json.loads(record.value) for record in stack.topics.read(ITEMS) if record.value}


def hours(demand: dict[str, Any]) -> Counter[str]:
    """The events of the last two hours: an hour may end while the test runs."""
    names = {"views": "view", "carts": "add_to_cart", "purchases": "purchase"}
    total = Counter[str]()
    for hour in (demand["hour"], demand["previous_hour"]):
        total.update({kind: round(hour[name]) for name, kind in names.items() if hour[name]})
    return total


def put_on_sale(stack: Stack, *items: str) -> None:
    for item in items:
        stack.topics.send(CATALOGUE, item, encode_record(CatalogueItem(item_id=item, title=item)))
    stack.topics.producer.flush()


def test_each_event_is_counted_once_although_the_taskmanager_is_killed(stack: Stack, counting: str) -> None:
    name = f"counted{time.time_ns()}"
    crowd, restarts = Crowd(stack), stack.restarts(counting)
    for item in (f"{name}-1", f"{name}-2"):
        put_on_sale(stack, item)
        eventually(lambda item=item: crowd.is_counted(item), 60)  # by the job, whose catalogue has the item
    time.sleep(7)  # until all probes are told
    before = {item: hours(newest(stack)[item]) for item in crowd.probed}
    for turn in range(6):
        crowd.do("view", f"{name}-1", 20)
        crowd.do("add_to_cart", f"{name}-2", 5)
        crowd.do("purchase", f"{name}-2", 3, price=2.5, quantity=2)
        crowd.do("view", "made-up-by-somebody", 5)
        if turn == 2:
            strike = stack.injector.inject(Fault("kill", "taskmanager"))
            assert not strike.failure, strike.failure
        time.sleep(1)
    del crowd.asked["made-up-by-somebody"]
    eventually(lambda: stack.restarts(counting) > restarts, 60)
    eventually(lambda: {item: hours(newest(stack)[item]) - before[item] for item in crowd.asked} == crowd.asked, 60)
    demand = newest(stack)
    assert "made-up-by-somebody" not in demand, "the shop does not sell it"
    sold = demand[f"{name}-2"]
    assert sold["hour"]["revenue"] + sold["previous_hour"]["revenue"] == 6 * 3 * 5.0
    assert 0 < sold["purchases"] <= 18 and sold["trend"] > 1


def test_a_flash_sale_is_seen_by_strangers_within_a_minute(stack: Stack, counting: str, shop: Services) -> None:
    item, crowd = f"sale{time.time_ns()}", Crowd(stack)
    put_on_sale(stack, item)
    eventually(lambda: crowd.is_counted(item), 60)
    usual = (KNOWN_ITEM, "view", 600), (OTHER_ITEM, "view", 400)
    for known, kind, times in usual:  # what the shop was asked for some hours ago
        crowd.do(kind, known, times, event_time=int((time.time() - 4 * 3600) * 1000))
    started_s = time.monotonic()

    def reason() -> str | None:
        places = shop.list_of(f"stranger-{item}", 20).items
        return next((place.reason.kind for place in places if place.item_id == item), None)

    while (found := reason()) != "trending" and time.monotonic() - started_s < WITHIN_S:
        crowd.do("view", item, 10)
        time.sleep(1)
    print(f"in strangers' lists after {time.monotonic() - started_s:.1f} s, {crowd.asked[item]['view']} views")
    assert found == "trending"
    stack.topics.send(CATALOGUE, item, encode_record(CatalogueItem(item_id=item, in_stock=False)))
    stack.topics.producer.flush()
    eventually(lambda: reason() is None, 30)


def test_the_jobs_own_lists_follow_too(stack: Stack, counting: str) -> None:
    """A shopper without a step gets the job's list of popular items."""
    crowd, starts, tries = Crowd(stack), stack.topics.ends(RECOMMENDATIONS), list[str]()
    crowd.do("view", LIFTED_ITEM, 3000)

    def is_listed() -> bool:
        user = f"searcher{time.time_ns()}"
        own = {"event_id": f"{user}-e", "event_type": "search", "event_time": int(time.time() * 1000), "user_id": user}
        stack.topics.publish([own | {"query": "mug"}])
        tries.append(user)
        time.sleep(1)
        lists = stack.topics.newest_lists(starts)
        firsts = [lists[user][0]["items"][:4] for user in tries if user in lists and lists[user][0]]
        return any(place["item_id"] == LIFTED_ITEM for places in firsts for place in places)

    eventually(is_listed, 60)
