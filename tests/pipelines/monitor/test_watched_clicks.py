"""How often the guard takes back bundles that are as good as the champion, on simulated shoppers."""

import msgspec
import numpy as np
import pytest

from operators.records.contracts import MODELS, Model
from operators.time_units import DAY_MS, HOUR_MS
from pipelines.monitor.rollout_guard import _Example
from tests.pipelines.monitor.test_rollout_guard import AT, SPLIT, guard_of, rollout_record


def taken_back(users: int, late: float, seed: int, rate: float = 0.04, challengers_rate: float = 0.04) -> bool:
    """Whether a day of a challenger ends with a finding, looking every hour. `users` of each bundle come a few times a day and
    see ten items each time; `late` of the clicked items become purchases hours later. The champion has the day before too."""
    rng, guard = np.random.default_rng(seed), guard_of()
    guard._take(MODELS, rollout_record(SPLIT))
    records = list[tuple[float, _Example]]()
    for number, days, of_bundle in ((1, 2, rate), (2, 1, challengers_rate)):
        model, likes = Model("shop", str(number)), rng.beta(of_bundle * 12, (1 - of_bundle) * 12, users)
        visits = np.repeat(np.arange(users), days * rng.geometric(0.4, users))
        hours = rng.uniform(24 - 24 * days, 24, len(visits))
        for user, hour, clicked in zip(visits.tolist(), hours.tolist(), rng.binomial(10, likes[visits]), strict=True):
            shown_at = AT + int(hour * HOUR_MS)
            labels = ["click"] * clicked + ["none"] * (10 - clicked)
            items = [_Example(model, f"{number}-{user}", label, 0, shown_at, "model") for label in labels]
            records += [(hour + 0.5, item) for item in items]
            for item, draw, wait in zip(items[:clicked], rng.random(clicked), rng.uniform(0, 23, clicked), strict=True):
                if draw < late:
                    bought = msgspec.structs.replace(item, label="purchase", revision=1)
                    records.append((hour + 0.5 + wait, bought))
    records = sorted((record for record in records if 0 <= record[0] < 24), key=lambda record: record[0])
    look = 1
    for hour, example in records:
        if look < hour:
            if guard._guard.finding(SPLIT, AT + look * HOUR_MS) is not None:
                return True
            look += 1
        guard._take_example(example, AT + int(hour * HOUR_MS))
    return guard._guard.finding(SPLIT, AT + DAY_MS) is not None


@pytest.mark.parametrize("late", [0.0, 0.1])
def test_equal_bundles_are_not_taken_back_however_many_buy_hours_later(late: float) -> None:
    assert not any(taken_back(1000, late, seed) for seed in range(3))


@pytest.mark.slow
@pytest.mark.parametrize("late", [0.0, 0.1])
def test_equal_bundles_of_a_large_shop_are_not_taken_back(late: float) -> None:
    assert not any(taken_back(10_000, late, seed) for seed in range(5))


def test_a_bundle_that_is_clicked_half_as_often_or_never_is_taken_back() -> None:
    assert taken_back(1500, 0.1, 1, challengers_rate=0.02)
    assert taken_back(1500, 0.1, 1, challengers_rate=1e-9)
