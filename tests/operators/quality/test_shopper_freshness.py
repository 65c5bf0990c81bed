import math

import pytest

from operators.quality.shopper_freshness import ACTIVE_MS, ShopperFreshness


class Shoppers(ShopperFreshness):
    def __init__(self) -> None:
        self.now = 0
        super().__init__(1.0, lambda: self.now)


def test_a_list_in_time_is_fresh_and_its_delay_is_told_once() -> None:
    shoppers = Shoppers()
    assert shoppers.event("u", "e1", 100, 1000) is None
    shoppers.now = 9000  # read late: what counts is when it was written
    assert shoppers.listed("u", "e1", 100, 1200) == pytest.approx(0.2)
    assert shoppers.listed("u", "e1", 100, 1200) is None
    assert shoppers.share() == 1


def test_a_list_that_does_not_come_is_missed_after_the_limit() -> None:
    shoppers = Shoppers()
    shoppers.event("u", "e1", 100, 0)
    assert math.isnan(shoppers.share())
    shoppers.now = 1500
    assert shoppers.share() == 0
    assert shoppers.listed("u", "e1", 100, 1500) == 1.5
    assert shoppers.share() == 0  # too late is not fresh


def test_a_coalesced_event_is_answered_by_a_newer_list_and_an_older_list_answers_nothing() -> None:
    shoppers = Shoppers()
    shoppers.event("u", "e1", 100, 0)
    shoppers.event("u", "e2", 200, 10)
    assert shoppers.listed("u", "e1", 100, 20) is None
    assert shoppers.listed("u", "e2", 200, 30) == pytest.approx(0.02)
    assert shoppers.listed("u", "e2", 200, 40) is None


def test_a_list_that_is_read_before_its_event_counts_for_it() -> None:
    shoppers = Shoppers()
    assert shoppers.listed("u", "e1", 100, 30) is None
    assert shoppers.event("u", "e1", 100, 10) == pytest.approx(0.02)
    assert shoppers.listed("u", "e2", 200, 90) is None
    assert shoppers.event("u", "e2", 200, 80) == pytest.approx(0.01)
    assert shoppers.share() == 1


def test_who_is_erased_or_idle_does_not_count() -> None:
    shoppers = Shoppers()
    shoppers.event("erased", "e1", 100, 0)
    shoppers.erased("erased")
    shoppers.event("idle", "e3", 100, 0)
    shoppers.now = ACTIVE_MS + 1
    assert math.isnan(shoppers.share())
    shoppers.forget_idle()
    assert shoppers._shoppers == {}


def test_a_pause_lets_go_of_who_waits_a_little_and_not_of_who_waits_too_long() -> None:
    shoppers = Shoppers()
    shoppers.event("long", "e1", 100, 0)
    shoppers.event("short", "e2", 100, 4500)
    shoppers.event("done", "e3", 100, 4500)
    shoppers.listed("done", "e3", 100, 4600)
    shoppers.now = 5000
    shoppers.pause()
    shoppers.now = 9000
    assert shoppers.share() == 0.5
