"""Impressions and outcomes of real lists become examples: each once, with the labels of an offline join, whatever dies."""

import base64
import json
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.faults.fault import Fault
from operators.feedback.example_comparison import Comparison
from operators.feedback.final_examples import final_examples
from operators.feedback.join_limits import Windows
from operators.records.contracts import RECOMMENDATIONS
from operators.shopper.state_layout import read_states
from tests.running_stack import Stack
from tests.stack.records.feedback_log import FeedbackLog, feedback_counts
from tests.stack.test_watching import JOIN_NAMES, Prometheus
from tests.stack.topics import eventually

pytestmark = pytest.mark.slow
CLICK_S, PURCHASE_S, USERS, SHOWN, DAY_MS = 6, 20, 24, 6, 86_400_000
WINDOWS = Windows(CLICK_S * 1000, PURCHASE_S * 1000, DAY_MS)
JOINED = {
    "LIVESHELF_FEEDBACK__ENABLED": "true",
    "LIVESHELF_FEEDBACK__CLICK_MINUTES": str(CLICK_S / 60),
    "LIVESHELF_FEEDBACK__PURCHASE_MINUTES": str(PURCHASE_S / 60),
}


@pytest.fixture(scope="module")
def joined(stack: Stack, demo_bundle: Path) -> str:
    """A job with the join, from the state of one without it."""
    stack.serve(demo_bundle)
    return stack.serve(demo_bundle, JOINED)


def now_ms() -> int:
    return int(time.time() * 1000)


class Shop:
    """Shoppers with lists, who see and do things at random."""

    def __init__(self, stack: Stack) -> None:
        self.log, starts = FeedbackLog(stack, f"fb{time.time_ns()}"), stack.topics.ends(RECOMMENDATIONS)
        self.users = [self.log.user(number) for number in range(USERS)]
        self._draw, self._flowing = random.Random(7), 0
        for user in self.users:
            self.log.send(user, "view", now_ms(), item_id="85123A")
        self.log.publish()
        self.lists = self.log.lists(self.users, starts)

    def see(self, share: float, first: int = 0) -> None:
        """Some shoppers see places of their list."""
        for user in self._some(share):
            items = self._items(user)[first : first + SHOWN]
            self._send(user, "impression", items=items, position=first, placement="home")

    def do(self, share: float, kinds: tuple[str, ...], of: int = SHOWN, **fields: Any) -> None:
        """Some shoppers do something with an item of their list."""
        for user in self._some(share):
            place = self._draw.randrange(of)
            item, kind = self._items(user)[place], self._draw.choice(kinds)
            self._send(user, kind, item_id=item, position=place, **fields)

    def flow(self) -> None:
        """Some shoppers see a list of another shop's making, and click: their examples go out a click window later."""
        for user in self._some(0.3):
            self._flowing += 1
            of_list = {"recommendation_id": f"{user}-flow{self._flowing}"}
            self.log.send(user, "impression", now_ms(), items=["i1", "i2", "i3"], **of_list)
            self.log.send(user, "click", now_ms(), item_id="i2", **of_list)

    def _send(self, user: str, kind: str, since_ms: int = 0, again: bool = False, **fields: Any) -> None:
        """`since_ms`: the client's clock is so much ahead; `again`: the client sends the event twice."""
        event_id = {"event_id": f"{user}-{kind}-{self._draw.random()}"}
        for _ in range(1 + again):
            of_list = {"recommendation_id": self.lists[user]["recommendation_id"]}
            self.log.send(user, kind, now_ms() + since_ms, **(of_list | event_id | fields))

    def _items(self, user: str) -> list[str]:
        return [item["item_id"] for item in self.lists[user]["items"]]

    def _some(self, share: float) -> list[str]:
        return self._draw.sample(self.users, round(share * USERS))

    def has_bad_luck(self) -> None:
        """What must not harm: too many items, clocks a day off, duplicates, outcomes before or without an impression."""
        one, two, three, four, five = (f"{self.users[0]}x{number}" for number in range(5))
        send, name = self.log.send, {"recommendation_id": "nobody-made-it"}
        send(one, "impression", now_ms(), items=[f"i{number}" for number in range(10_000)], **name)
        send(one, "impression", now_ms(), items=[f"i{number}" for number in range(501)], **name)
        send(two, "click", now_ms(), item_id="i1", recommendation_id=f"{two}-list")
        send(two, "impression", now_ms(), items=["i1", "i2"], recommendation_id=f"{two}-list")
        send(three, "click", now_ms(), item_id="i1", recommendation_id=f"{three}-list", position=4)
        for _ in range(3):
            send(four, "purchase", now_ms(), items=["i1", "i2"], recommendation_id=f"{four}-list", event_id=f"{four}-e")
            send(four, "purchase", now_ms(), item_id="i3")  # organic, three purchases
        send(five, "impression", now_ms() - DAY_MS, items=["i1", "i2"], recommendation_id=f"{five}-list")
        send(five, "click", now_ms() + DAY_MS, item_id="i2", recommendation_id=f"{five}-list")
        self.see(0.2)
        self.do(0.3, ("click", "purchase"), since_ms=-DAY_MS)
        self.do(0.3, ("click",), since_ms=DAY_MS)
        self.do(0.3, ("click", "add_to_cart", "purchase"), again=True)
        self.log.publish()


def kill_taskmanager(stack: Stack, job: str) -> None:
    """Waits until the job has restarted. Examples have gone out since the newest checkpoint: those of each half second."""
    restarts = stack.restarts(job)
    kill(stack, "taskmanager")
    eventually(lambda: stack.restarts(job) > restarts, 60)


def kill(stack: Stack, target: str) -> None:
    strike = stack.injector.inject(Fault("kill", target))
    assert not strike.failure, strike.failure


def settled(log: FeedbackLog) -> Comparison:
    """The comparison when it is good, or after two minutes."""
    until = time.monotonic() + 120
    while (found := log.compared(WINDOWS)).verdict != "ok" and time.monotonic() < until:
        time.sleep(1)
    return found


class Crowd(threading.Thread):
    """Shoppers who go on whatever dies, twice a second."""

    def __init__(self, shop: Shop) -> None:
        super().__init__(daemon=True)
        self._shop, self._ends = shop, threading.Event()

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self.join()

    def run(self) -> None:
        while not self._ends.wait(0.5):
            self._shop.flow()
            self._shop.do(0.1, ("click", "add_to_cart", "purchase"), of=SHOWN + 3)
            self._shop.log.publish()


def test_each_shown_item_has_one_example_with_the_label_of_an_offline_join_whatever_dies(
    stack: Stack, joined: str
) -> None:
    shop = Shop(stack)
    shop.see(0.8)
    shop.do(0.5, ("click", "click", "add_to_cart"))
    shop.log.publish()
    with Crowd(shop):
        time.sleep(CLICK_S + 3)
        kill_taskmanager(stack, joined)
        shop.see(0.4, first=3)
        shop.has_bad_luck()
        time.sleep(CLICK_S + 3)
        kill_taskmanager(stack, joined)
        time.sleep(CLICK_S + 3)
        kill(stack, "kafka")
        time.sleep(8)
    shop.see(0.3)
    time.sleep(PURCHASE_S + 1)
    shop.do(0.5, ("click", "purchase"))  # outside of all windows
    shop.do(0.2, ("click", "purchase"), recommendation_id=None)
    shop.log.publish()
    for pause_s in (0, 6):  # two checkpoints and more later: what is written twice would be there
        time.sleep(pause_s)
        found = settled(shop.log)
        assert found.verdict == "ok", found
    examples = shop.log.examples()
    final = [*final_examples(examples).values()]
    assert {example.label for example in final} == {"none", "click", "add_to_cart", "purchase"}
    assert len(examples) > len(final) > USERS * SHOWN / 2, "some were corrected"
    check_served(shop, final)
    assert not [example for example in examples if example.user_id.endswith("x0")], "10,000 items"


def check_served(shop: Shop, final: list[Any]) -> None:
    """The examples name the list as it was served, and the state that it was made from."""
    seen = 0
    for example in final:
        made = shop.lists.get(example.user_id)
        if example.organic or made is None or example.state is None:
            continue
        items = [item["item_id"] for item in made["items"]]
        assert (example.model.name, example.model.version) == (made["model"]["name"], made["model"]["version"])
        assert (example.source, items[example.position]) == (made["source"], example.item_id)
        (state,) = read_states([base64.b64decode(example.state)])
        assert (state["version"], state["epoch_s"]) == (made["version"], made["epoch"])
        seen += 1
    assert seen > USERS, "most lists are known"


def test_an_erased_shopper_gets_no_example(stack: Stack, joined: str) -> None:
    log, starts = FeedbackLog(stack, f"er{time.time_ns()}"), stack.topics.ends(RECOMMENDATIONS)
    user = log.user(0)
    log.send(user, "view", now_ms(), item_id="85123A")
    log.publish()
    (made,) = log.lists([user], starts).values()
    items = [item["item_id"] for item in made["items"][:3]]
    log.send(user, "impression", now_ms(), items=items, recommendation_id=made["recommendation_id"])
    log.publish()
    answer = json.loads(stack.liveshelf("erase", user, "--json").stdout)
    assert answer
    time.sleep(CLICK_S + 8)
    assert log.examples() == []


def test_the_reasons_are_counted(stack: Stack, joined: str) -> None:
    counts = eventually(lambda: feedback_counts(stack))
    assert counts["example"] > 0 and counts["forgotten_list"] > 0
    prometheus = Prometheus(stack.settings)
    eventually(lambda: prometheus.names() >= JOIN_NAMES, 60)


def test_a_job_without_the_join_goes_on_from_the_state_of_one_with_it(
    stack: Stack, joined: str, demo_bundle: Path
) -> None:
    stack.serve(demo_bundle)
    log, starts = FeedbackLog(stack, f"wo{time.time_ns()}"), stack.topics.ends(RECOMMENDATIONS)
    user = log.user(0)
    log.send(user, "view", now_ms(), item_id="85123A")
    log.publish()
    assert log.lists([user], starts)
