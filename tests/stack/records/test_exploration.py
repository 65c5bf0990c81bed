"""A new product is on lists within a minute of its catalogue record, marked as new; what shoppers do with it moves its counts."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from operators.records.contracts import CATALOGUE, EXAMPLES, RECOMMENDATIONS, CatalogueItem, encode_record
from storefront.services import Services
from tests.running_stack import Stack
from tests.stack.records.test_demand import newest
from tests.stack.topics import eventually

pytestmark = pytest.mark.slow
EXPLORING = {
    "LIVESHELF_DEMAND__ENABLED": "true",
    "LIVESHELF_FEEDBACK__ENABLED": "true",
    "LIVESHELF_FEEDBACK__CLICK_MINUTES": "0.1",
    "LIVESHELF_FEEDBACK__PURCHASE_MINUTES": "0.5",
    "LIVESHELF_EXPLORATION__ENABLED": "true",
}
CAKESTAND, TITLE = "22423", "Regency Cakestand 3 Tier"  # of the demo's bundle
WITHIN_S = 60


@pytest.fixture(scope="module")
def exploring(stack: Stack, demo_bundle: Path) -> str:
    """A job that explores, from the state of one that does not."""
    stack.serve(demo_bundle)
    return stack.serve(demo_bundle, EXPLORING)


class Shoppers:
    """Shoppers of this test alone, each of whom looks at the item that the product is like."""

    def __init__(self, stack: Stack) -> None:
        self._stack, self._name, self._number = stack, f"exp{time.time_ns()}", 0
        self._starts = stack.topics.ends(RECOMMENDATIONS)
        self._examples = stack.topics.ends(EXAMPLES)  # before: what other tests sent, garbage too

    def send(self, user: str, kind: str, **fields: Any) -> None:
        self._number += 1
        own = {"event_id": f"{self._name}-e{self._number}", "event_type": kind, "user_id": user}
        self._stack.topics.publish([own | {"event_time": int(time.time() * 1000)} | fields])

    def look(self, count: int) -> None:
        for _ in range(count):
            self.send(f"{self._name}-u{self._number}", "view", item_id=CAKESTAND)

    def places_of(self, item: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """The lists of these shoppers that show an item, and its place on them."""
        lists = [made for made, _ in self._stack.topics.newest_lists(self._starts).values() if made]
        own = [made for made in lists if made["user_id"].startswith(self._name)]
        return [(made, place) for made in own for place in made["items"] if place["item_id"] == item]

    def examples_of(self, item: str) -> list[dict[str, Any]]:
        """The examples that the job wrote of an item since."""
        written = (json.loads(record.value) for record in self._stack.topics.read(EXAMPLES, self._examples))
        return [example for example in written if example["item_id"] == item]


def test_a_new_product_is_on_lists_within_a_minute_and_learns(stack: Stack, exploring: str, shop: Services) -> None:
    item, shoppers = f"new{time.time_ns()}", Shoppers(stack)
    shoppers.look(5)
    started_s = time.monotonic()
    stack.topics.send(CATALOGUE, item, encode_record(CatalogueItem(item_id=item, title=TITLE)))
    stack.topics.producer.flush()
    while not (places := shoppers.places_of(item)) and time.monotonic() - started_s < WITHIN_S:
        shoppers.look(10)
        time.sleep(1)
    print(f"on {len(places)} lists after {time.monotonic() - started_s:.1f} s")
    made, place = places[0]
    assert place["reason"]["kind"] == "new" and place["reason"]["item_id"] and place["rank"] >= 3
    assert 0 < place["propensity"] < 1 and all(0 < other["propensity"] <= 1 for other in made["items"])
    assert len({other["item_id"] for other in made["items"]}) == len(made["items"])
    user = made["user_id"]
    eventually(lambda: any(served.item_id == item for served in shop.list_of(user, 20).items), 30)
    (served,) = [served for served in shop.list_of(user, 20).items if served.item_id == item]
    assert (served.reason.kind, served.title) == ("new", TITLE)

    shown = {"items": [other["item_id"] for other in made["items"]], "recommendation_id": made["recommendation_id"]}
    shoppers.send(user, "impression", **shown)
    shoppers.send(user, "click", item_id=item, recommendation_id=made["recommendation_id"], position=place["rank"] - 1)
    eventually(lambda: newest(stack).get(item, {}).get("clicks", 0) > 0.9, 60)
    eventually(lambda: newest(stack)[item]["impressions"] > 0.9, 60)
    eventually(lambda: any(example["label"] == "click" for example in shoppers.examples_of(item)), 60)
    assert shoppers.examples_of(item)[-1]["propensity"] == pytest.approx(place["propensity"], rel=1e-4)

    stack.topics.send(CATALOGUE, item, None)
    stack.topics.producer.flush()
    time.sleep(10)
    after = Shoppers(stack)
    after.look(40)
    time.sleep(5)
    assert after.places_of(item) == [], "it is not sold any more"
