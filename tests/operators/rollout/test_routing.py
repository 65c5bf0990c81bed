"""Who is served by which bundle."""

from collections import Counter

import pytest

from operators.rollout.rollout import promoted, shadowed, split
from operators.rollout.routing import Routing
from tests.operators.rollout.test_rollout import CHANGE, bundle, champion

USERS = [f"u{number}" for number in range(20_000)]


def test_each_bundle_has_its_share_and_a_user_keeps_theirs() -> None:
    routing = Routing(split(split(champion(), bundle(2), 0.2, CHANGE), bundle(3), 0.3, CHANGE))
    places = Counter(map(routing.place_of, USERS))
    assert [places[place] / len(USERS) for place in (0, 1, 2)] == pytest.approx([0.5, 0.2, 0.3], abs=0.015)
    groups = routing.split(USERS)
    assert sorted(number for numbers in groups.values() for number in numbers) == [*range(len(USERS))]
    assert all(routing.place_of(USERS[number]) == place for place, numbers in groups.items() for number in numbers)


def test_a_larger_share_keeps_its_users() -> None:
    small, large = (Routing(split(champion(), bundle(2), share, CHANGE)) for share in (0.1, 0.4))
    assert all(large.place_of(user) == 1 for user in USERS if small.place_of(user) == 1)


def test_without_challengers_all_are_the_champions() -> None:
    routing = Routing(promoted(champion(), bundle(2), CHANGE))
    assert routing.split(USERS[:3]) == {0: [0, 1, 2]} and routing.split([]) == {}
    assert not routing.is_shadowed("u1")


def test_the_shadow_has_a_sample_that_does_not_follow_the_shares() -> None:
    rollout = shadowed(split(champion(), bundle(2), 0.5, CHANGE), bundle(3), 0.1, CHANGE)
    routing = Routing(rollout)
    seen = [user for user in USERS if routing.is_shadowed(user)]
    assert len(seen) / len(USERS) == pytest.approx(0.1, abs=0.01)
    assert sum(routing.place_of(user) for user in seen) / len(seen) == pytest.approx(0.5, abs=0.05)
