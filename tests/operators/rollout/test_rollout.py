"""What each verb makes of a rollout."""

import msgspec
import pytest

from operators.errors import RolloutError
from operators.rollout.rollout import (
    MAX_CHALLENGERS,
    BundleRef,
    Change,
    Rollout,
    promoted,
    rolled_back,
    shadowed,
    split,
)
from operators.rollout.rollout_rows import read_rollout

CHANGE = Change(7, "somebody", "test")


def bundle(number: int) -> BundleRef:
    return BundleRef(name="shop", version=str(number), sum=f"{number:064x}", address=f"/store/{number}")


def champion(number: int = 1) -> Rollout:
    return promoted(None, bundle(number), CHANGE)


def test_the_champion_before_is_the_previous_one_and_comes_back() -> None:
    second = promoted(champion(), bundle(2), CHANGE)
    assert (second.champion, second.previous, second.revision) == (bundle(2), bundle(1), 2)
    back = rolled_back(split(second, bundle(3), 0.5, CHANGE), CHANGE)
    assert back is not None
    assert (back.champion, back.previous, back.challengers, back.revision) == (bundle(1), bundle(2), (), 4)
    again = rolled_back(back, CHANGE)
    assert again is not None and again.champion == bundle(2), "a wrong rollback is taken back"


def test_a_rollback_is_noted_until_a_promotion_or_until_it_is_taken_back() -> None:
    back = rolled_back(promoted(champion(), bundle(2), CHANGE), CHANGE)
    assert back is not None and back.rolled_back_at == CHANGE.at
    assert split(back, bundle(3), 0.5, CHANGE).rolled_back_at == CHANGE.at
    assert shadowed(back, bundle(3), 0.5, CHANGE).rolled_back_at == CHANGE.at
    assert promoted(back, bundle(3), CHANGE).rolled_back_at is None
    again = rolled_back(back, CHANGE)
    assert again is not None and again.rolled_back_at is None


def test_a_challenger_or_shadow_that_is_promoted_is_none_any_more() -> None:
    rollout = shadowed(split(champion(), bundle(2), 0.2, CHANGE), bundle(3), 0.1, CHANGE)
    assert promoted(rollout, bundle(2), CHANGE).challengers == ()
    assert promoted(rollout, bundle(2), CHANGE).shadow == bundle(3)
    for serving in (promoted(rollout, bundle(3), CHANGE), split(rollout, bundle(3), 0.1, CHANGE)):
        assert (serving.shadow, serving.shadow_share) == (None, 0)
    assert split(rollout, bundle(4), 0.1, CHANGE).shadow == bundle(3)


def test_a_share_changes_and_ends() -> None:
    rollout = split(split(champion(), bundle(2), 0.2, CHANGE), bundle(3), 0.3, CHANGE)
    grown = split(rollout, bundle(2), 0.4, CHANGE)
    assert {one.bundle.version: one.share for one in grown.challengers} == {"2": 0.4, "3": 0.3}
    assert [one.bundle.version for one in split(grown, bundle(3), 0, CHANGE).challengers] == ["2"]
    assert grown.serving == [bundle(1), bundle(3), bundle(2)]


@pytest.mark.parametrize("share", [-0.1, 0.8, 1.0, 1.5, float("nan"), float("inf")])
def test_shares_leave_the_champion_something(share: float) -> None:
    rollout = split(champion(), bundle(2), 0.2, CHANGE)
    with pytest.raises(RolloutError, match="add up to less than 1"):
        split(rollout, bundle(3), share, CHANGE)


def test_without_a_champion_before_the_submitted_bundle_serves_again() -> None:
    assert rolled_back(split(champion(), bundle(2), 0.5, CHANGE), CHANGE) is None


def test_the_record_says_since_when_its_champion_is_that() -> None:
    first = promoted(None, bundle(1), Change(10, "somebody", "test"))
    second = promoted(split(first, bundle(2), 0.1, Change(20, "", "")), bundle(2), Change(30, "", ""))
    assert (first.known_since, second.known_since) == (10, 30)
    assert shadowed(split(second, bundle(3), 0.1, Change(40, "", "")), None, 0, Change(50, "", "")).known_since == 30
    back = rolled_back(second, Change(60, "", ""))
    assert back is not None and back.known_since == 60


def test_two_bundles_of_one_label_are_refused() -> None:
    twin = msgspec.structs.replace(bundle(2), sum="f" * 64)
    with pytest.raises(RolloutError, match="name and version no other"):
        split(promoted(champion(), bundle(2), CHANGE), twin, 0.5, CHANGE)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(RolloutError, match="no model was ever promoted"):
        split(None, bundle(1), 0.1, CHANGE)
    with pytest.raises(RolloutError, match="no model was ever promoted"):
        rolled_back(None, CHANGE)
    with pytest.raises(RolloutError, match="another bundle than the champion"):
        promoted(champion(), bundle(1), CHANGE)
    with pytest.raises(RolloutError, match="another bundle than the champion"):
        split(champion(), bundle(1), 0.5, CHANGE)
    with pytest.raises(RolloutError, match="a challenger"):
        split(champion(), bundle(2), 0, CHANGE)
    with pytest.raises(RolloutError, match="does not serve"):
        shadowed(champion(), bundle(1), 0.5, CHANGE)
    for share in (0.0, 1.1, float("nan")):
        with pytest.raises(RolloutError, match="above 0, at most 1"):
            shadowed(champion(), bundle(2), share, CHANGE)


def test_the_number_of_challengers_is_bounded() -> None:
    rollout = champion()
    for number in range(MAX_CHALLENGERS):
        rollout = split(rollout, bundle(2 + number), 0.1, CHANGE)
    with pytest.raises(RolloutError, match=f"at most {MAX_CHALLENGERS}"):
        split(rollout, bundle(9), 0.1, CHANGE)


def test_a_record_is_read_back_and_others_are_not() -> None:
    rollout = shadowed(split(champion(), bundle(2), 0.2, CHANGE), bundle(3), 0.1, CHANGE)
    value = msgspec.json.encode(rollout)
    assert read_rollout(value) == rollout
    fields = msgspec.to_builtins(rollout)
    older = {name: value for name, value in fields.items() if name not in ("champion_since", "previous_harmed")}
    assert read_rollout(msgspec.json.encode(older)) == msgspec.structs.replace(rollout, champion_since=None)
    half = msgspec.to_builtins(split(champion(), bundle(2), 0.6, CHANGE))["challengers"]
    for wrong in (
        {"champion": None},
        {"challengers": half * 2},
        {"challengers": [{"bundle": fields["champion"], "share": 2}]},
        {"champion": fields["champion"] | {"sum": "../../etc"}},
        {"revision": 0},
        {"champion": fields["challengers"][0]["bundle"]},
        {"challengers": [{"bundle": fields["champion"], "share": 0.2}]},
        {"challengers": fields["challengers"] * 2},
        {"shadow": fields["champion"]},
        {"shadow_share": 0},
        {"previous": fields["champion"] | {"sum": "f" * 64}},
        {"shadow": fields["shadow"] | {"version": "2"}},
        {"previous": fields["champion"] | {"version": "9"}},
        {"changed_at": -1},
        {"changed_at": 2**63},
        {"champion_since": -1},
        {"rolled_back_at": -1},
    ):
        assert read_rollout(msgspec.json.encode(fields | wrong)) is None
    assert read_rollout(b"[" * 100_000) is read_rollout(b"\xff") is None
