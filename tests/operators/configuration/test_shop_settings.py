"""Settings that hold only together."""

import pytest
from pydantic import ValidationError

from operators.configuration.shop_settings import DemandSettings, ExplorationSettings, ListSettings
from operators.errors import SettingsError

COUNTED, LISTS = DemandSettings(enabled=True), ListSettings(size=20)


@pytest.mark.parametrize(
    ("exploration", "demand", "lists", "said"),
    [
        (
            {},
            DemandSettings(),
            LISTS,
            "demand.enabled = true beside exploration.enabled = true; came demand.enabled = false",
        ),
        ({"first_position": 21}, COUNTED, LISTS, "exploration.first_position of 1 to 20"),
        ({"share": 0.06}, COUNTED, LISTS, "exploration.share of at most 0.05"),
        ({}, COUNTED, ListSettings(size=40), "exploration.share of at most 0.025"),
    ],
)
def test_exploration_that_has_no_counts_or_no_place_is_refused(
    exploration: dict[str, float], demand: DemandSettings, lists: ListSettings, said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        ExplorationSettings(enabled=True, **exploration).refuse_without(demand, lists)
    ExplorationSettings(enabled=False, **exploration).refuse_without(demand, lists)


@pytest.mark.parametrize("size", [1, 3, 7, 20, 49, 250])
def test_a_whole_place_of_each_list_is_the_most(size: int) -> None:
    lists = ListSettings(size=size)
    ExplorationSettings(enabled=True, share=1 / size, first_position=1).refuse_without(COUNTED, lists)


@pytest.mark.parametrize("wrong", [{"share": 0}, {"share": 1.1}, {"few_impressions": 0}, {"newcomer_share": -0.1}])
def test_what_is_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        ExplorationSettings(**wrong)
