import math

import pytest

from operators.shopper_freshness import ACTIVE_S, ShopperFreshness


class Shoppers(ShopperFreshness):
    def __init__(self, share: float = 1.0) -> None:
        self.now = 0.0
        super().__init__(share, 1.0, lambda: self.now)


def test_a_list_in_time_is_fresh_and_its_delay_is_told_once() -> None:
    shoppers = Shoppers()
    shoppers.event("u", "e1", 100)
    shoppers.now = 0.2
    assert shoppers.listed("u", "e1", 100) == pytest.approx(0.2)
    assert shoppers.listed("u", "e1", 100) is None
    assert shoppers.share() == 1


def test_a_list_that_does_not_come_is_missed_after_the_limit() -> None:
    shoppers = Shoppers()
    shoppers.event("u", "e1", 100)
    assert math.isnan(shoppers.share())
    shoppers.now = 1.5
    assert shoppers.share() == 0
    assert shoppers.listed("u", "e1", 100) == 1.5
    assert shoppers.share() == 0  # too late is not fresh


def test_a_coalesced_event_is_answered_by_a_newer_list_and_an_older_list_answers_nothing() -> None:
    shoppers = Shoppers()
    shoppers.event("u", "e1", 100)
    shoppers.event("u", "e2", 200)
    assert shoppers.listed("u", "e1", 100) is None
    assert shoppers.listed("u", "e3", 300) is not None


def test_who_is_erased_idle_or_skipped_does_not_count() -> None:
    shoppers = Shoppers()
    shoppers.event("erased", "e1", 100)
    shoppers.erased("erased")
    shoppers.event("skipped", "e2", 100)
    shoppers.forget()
    shoppers.event("idle", "e3", 100)
    shoppers.now = ACTIVE_S + 1
    assert math.isnan(shoppers.share())


def test_the_sample_is_a_share_of_the_users_and_always_the_same() -> None:
    tenth = Shoppers(0.1)
    followed = {n for n in range(5000) if tenth.followed(f"u{n}")}
    assert 400 < len(followed) < 600
    assert followed == {n for n in range(5000) if Shoppers(0.1).followed(f"u{n}")}
