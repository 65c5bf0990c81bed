"""Rounds of a trainer on a tiny shop: what is new is learned, what is old stays, items come and go."""

import json
from pathlib import Path

import numpy as np
import pytest

from model_export.data.dataset import examples
from model_export.evaluation.served import Served
from model_export.follow.candidate import CALIBRATED_BY, Round, RoundOptions
from model_export.follow.follower import Follower, Outcome
from model_export.follow.history import History
from model_export.follow.learned import WindowSize
from model_export.follow.lesson import rehearsal
from model_export.follow.offers import Offers
from model_export.follow.window_files import GateVerdict, JudgeGate
from model_export.measures.ranking_metrics import summary
from operators.configuration.shop_settings import EventSettings, GateLimits
from operators.model.bundle_files import weights_trained_s
from operators.model.model_bundle import ModelBundle
from operators.records.contracts import CATALOGUE, EVENTS, CatalogueItem, Event
from tests.builders import NOW_MS, event
from tests.model_export.follow.conftest import OLD_USERS
from tests.model_export.follow.shop import MINUTE_MS, FakeTopics, walks

LIMITS = EventSettings()
LATER_MS = NOW_MS + 10_000 * MINUTE_MS


class Shop:
    """A follower over fake topics, and the bundle that serves."""

    def __init__(
        self, folder: Path, champion: Path, gate=lambda *_: GateVerdict(True, ["open"]), options=RoundOptions(LIMITS)
    ) -> None:
        self.topics, self.serving, self.promoted, self.retired = FakeTopics(), champion, list[str](), list[Path]()
        self.hold: str | None = None
        self.history = History(folder / "history", 100_000, LIMITS)
        self.follower = Follower(folder / "bundles", self.history, self.topics, self, gate, options)

    def champion(self) -> Path:
        return self.serving

    def promote(self, folder: Path, reason: str) -> None:
        self.serving = folder
        self.promoted.append(reason)

    def held(self, now_ms: int) -> str | None:
        return self.hold

    def retire(self, folder: Path) -> None:
        self.retired.append(folder)

    def round(self, kind) -> Outcome:
        self.follower.read()
        return self.follower.round(kind, LATER_MS)

    @property
    def bundle(self) -> ModelBundle:
        return ModelBundle.load(self.serving)


def quality(bundle: Path, events: list[Event], least: int = 3) -> float:
    """MRR@20 of the served model on the events with at least so many before them."""
    loaded = ModelBundle.load(bundle)
    asked = examples(events, loaded.vocabulary, LIMITS, loaded.window, loaded.hop)
    asked = asked.where(asked.features.length >= least)
    return summary(np.asarray(Served(loaded).ranks(asked.features, asked.target)))["MRR@20"]


def trend(users: int, first: int) -> list[Event]:
    """A new way of walking: every third item."""
    return walks(users, first, stride=3)


def test_a_new_trend_is_learned_and_the_old_one_not_forgotten(
    tmp_path: Path, champion: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shop of forty items has few batches, and needs larger steps than a real one."""
    monkeypatch.setattr(rehearsal, "RATE", 0.5)
    shop = Shop(
        tmp_path,
        champion,
        JudgeGate(GateLimits(min_questions=50, min_users=10, max_slower=9, max_score_psi=9), LIMITS, tmp_path),
    )
    shop.topics.send(*walks(OLD_USERS), *trend(200, OLD_USERS))
    outcome = shop.round("weights")
    fresh, old = trend(30, 1000), walks(60, 2000)
    before, after = (quality(folder, fresh) for folder in (champion, shop.serving))
    assert before < 0.35 and after > before + 0.25, outcome.lines
    assert quality(shop.serving, old) > quality(champion, old) - 0.03
    assert outcome.verdict == "promoted" and outcome.candidate is not None and outcome.candidate.replayed > 100
    manifest = shop.bundle.manifest
    assert manifest["made_from"] == ModelBundle.load(champion).version and manifest["round"]["kind"] == "weights"
    assert shop.follower.trained_s() == LATER_MS / 1000
    assert sum(manifest["trained_to"][EVENTS].values()) < sum(shop.history.offsets[EVENTS].values()), "the gate's wait"


def test_the_next_round_learns_only_what_came_since(tmp_path: Path, champion: Path) -> None:
    shop = Shop(tmp_path, champion)
    shop.topics.send(*walks(OLD_USERS), *trend(60, OLD_USERS))
    first = shop.round("weights")
    again = shop.round("weights")
    assert first.candidate is not None and first.candidate.new > 300
    shop.topics.send(*trend(60, 1000))
    second = shop.round("weights")
    learned = [outcome.candidate.new for outcome in (first, again, second) if outcome.candidate is not None]
    assert sum(learned) <= 120 * 7 + OLD_USERS and second.candidate is not None and second.candidate.new < 600


def test_a_refused_candidate_is_kept_and_its_events_are_learned_later(tmp_path: Path, champion: Path) -> None:
    shop = Shop(tmp_path, champion, lambda *_: GateVerdict(False, ["worse on the old window"]))
    shop.topics.send(*walks(OLD_USERS), *trend(60, OLD_USERS))
    outcome = shop.round("weights")
    (refused,) = (tmp_path / "bundles").glob("refused-*.txt")
    assert refused.read_text() == "worse on the old window\n" and refused.with_name(refused.name[:-4]).is_dir()
    assert outcome.verdict == "refused" and shop.serving == champion and shop.promoted == []


@pytest.mark.parametrize("kind", ["light", "weights"])
def test_nothing_is_promoted_while_promotions_are_held(tmp_path: Path, champion: Path, kind: str) -> None:
    shop = Shop(tmp_path, champion)
    shop.hold = "held after a rollback"
    shop.topics.send(*walks(OLD_USERS), *trend(20, OLD_USERS))
    outcome = shop.round(kind)
    assert outcome.verdict == "held" and outcome.lines == ["held after a rollback", "open"]
    assert shop.promoted == [] and shop.serving == champion
    (reason,) = (tmp_path / "bundles").glob("refused-*.txt")
    assert reason.read_text() == "held after a rollback\nopen\n"
    shop.hold = None
    shop.topics.send(*walks(1, 9000))
    assert shop.round(kind).verdict == "promoted"


@pytest.mark.parametrize("kind", ["light", "weights"])
def test_items_come_by_title_or_by_company_and_leave_with_the_catalogue(
    tmp_path: Path, champion: Path, kind: str
) -> None:
    shop = Shop(tmp_path, champion)
    shop.topics.sell(CatalogueItem(item_id="new-lamp", title="lamp 41"))
    shop.topics.append(CATALOGUE, "p39", None, NOW_MS)
    shop.topics.sell(CatalogueItem(item_id="p38", title="mug 38", available_until=NOW_MS))
    seen = [one for one in trend(60, 1000) if one.item_id not in ("p39",)]
    company = [
        event(
            event_id=f"c{user}-{step}",
            user_id=f"c{user}",
            item_id=item,
            event_time=NOW_MS + (1060 + user) * MINUTE_MS + step,
        )
        for user in range(8)
        for step, item in enumerate(("p4", "untitled", "p5"))
    ]
    last = walks(20, 2000, items=30)
    shop.topics.send(*walks(OLD_USERS, items=38), *seen, *company, *last)
    outcome = shop.round(kind)
    bundle, words = shop.bundle, shop.bundle.vocabulary
    assert words.row("new-lamp") and words.row("untitled") and not words.row("p39") and words.row("p38"), (
        "p38 is wanted"
    )
    assert outcome.candidate is not None and (outcome.candidate.joined, outcome.candidate.left) == (2, 1)
    near = bundle.vectors @ bundle.vectors[words.row("untitled")]
    assert {"p4", "p5"} & {words.item_ids[row - 1] for row in np.argsort(-near)[1:6]}
    lamps = bundle.vectors @ bundle.vectors[words.row("new-lamp")]
    nearest = [words.item_ids[row - 1] for row in np.argsort(-lamps)[1:6]]
    assert sum(int(item[1:]) % 2 for item in nearest if item.startswith("p")) >= 3
    followers = [words.item_ids[row - 1] for row in bundle.neighbours[words.row("p4")][:3]]
    assert "untitled" in followers


def test_a_light_round_keeps_the_weights_and_what_they_learned(tmp_path: Path, champion: Path) -> None:
    shop = Shop(tmp_path, champion)
    shop.topics.send(*walks(OLD_USERS), *trend(60, OLD_USERS))
    before = ModelBundle.load(champion)
    outcome = shop.round("light")
    assert outcome.candidate is not None and outcome.candidate.new == 0
    assert np.array_equal(shop.bundle.vectors, before.vectors)
    assert shop.bundle.manifest["trained_on"] == before.manifest["trained_on"]
    assert "trained_to" not in shop.bundle.manifest
    assert shop.follower.weights_s() == weights_trained_s(before.manifest) > 0, "it is as old as the weights"
    assert json.loads((shop.serving / "items.json").read_text()) == before.vocabulary.item_ids


@pytest.mark.parametrize("kind", ["light", "weights"])
@pytest.mark.parametrize("events", [0, 1, 2, 3])
def test_on_a_nearly_empty_stack_a_round_waits_or_makes_a_candidate(
    tmp_path: Path, champion: Path, kind: str, events: int
) -> None:
    """An item joins, so that a light round has something to do, however little there is to count."""
    shop = Shop(tmp_path, champion)
    shop.topics.sell(CatalogueItem(item_id="new-lamp", title="lamp 41"))
    shop.topics.append(CATALOGUE, "p39", None, NOW_MS)
    shop.topics.send(*walks(2, first=9000)[:events])
    outcome = shop.round(kind)
    assert outcome.verdict == ("promoted" if kind == "light" and events > 2 else "waited"), outcome.lines


def test_with_nothing_new_a_round_waits(tmp_path: Path, champion: Path) -> None:
    shop = Shop(tmp_path, champion)
    assert shop.round("weights").verdict == "waited"
    shop.topics.send(*walks(1, 9000))
    outcome = shop.round("weights")
    assert outcome.verdict == "waited" and outcome.lines == ["6 new examples are too few"] and not shop.promoted


def test_a_round_waits_until_the_gate_can_judge_and_a_light_one_needs_a_fifth(tmp_path: Path, champion: Path) -> None:
    shop = Shop(tmp_path, champion, options=RoundOptions(LIMITS, least=WindowSize(250, 10)))
    shop.topics.send(*walks(OLD_USERS), *trend(60, OLD_USERS))
    waits, light = shop.round("weights"), shop.round("light")
    assert waits.verdict == "waited" and waits.lines == [
        "210 questions of 30 users for the gate are too few, it needs 262 of 10"
    ]
    assert light.verdict == "promoted" and light.candidate is not None and light.candidate.windows.least == (50, 2)
    counted_ms = shop.bundle.manifest["round"]["counted_to_ms"]
    assert counted_ms == light.candidate.windows.newest_ms
    shop.topics.send(*trend(30, 1000))
    again = shop.round("light")
    assert again.candidate is not None and again.candidate.windows.newest_ms > counted_ms
    assert shop.round("weights").verdict == "promoted"


def made_by(champion: Path, folder: Path, events: list[Event], limits: EventSettings = LIMITS) -> Round:
    """A round of weights over the events."""
    topics, history = FakeTopics(), History(folder / "history", 100_000, limits)
    topics.send(*events)
    for records, offsets in topics.read({}):
        history.take(records, offsets)
    return Round(ModelBundle.load(champion), history, Offers(frozenset()), RoundOptions(limits), LATER_MS, "weights")


def test_the_old_window_is_a_sample_of_what_was_learned_and_mostly_recent(tmp_path: Path, champion: Path) -> None:
    events = [*walks(OLD_USERS), *trend(60, OLD_USERS)]
    coming = made_by(champion, tmp_path, events)
    drawn = coming.make(tmp_path / "candidate").windows.old
    place_of = {one.event_id: place for place, one in enumerate(events)}
    places = [place_of[one] for one in drawn]
    assert len(places) == pytest.approx(0.1 * len(coming.old), abs=1) and max(places) < 8 * OLD_USERS
    halves = [sum(place // (4 * OLD_USERS) == half for place in places) for half in (0, 1)]
    assert halves[0] > 0 and halves[1] > 2 * halves[0]


def test_where_little_was_learned_forgetting_is_not_judged(tmp_path: Path, champion: Path) -> None:
    """The history begins with one event that the champion has learned, which is no question."""
    old = walks(OLD_USERS)[-1:]
    limits = GateLimits(max_quality_loss=1, max_slower=9, max_score_psi=9, min_coverage=0)
    shop = Shop(tmp_path, champion, JudgeGate(limits, LIMITS, tmp_path))
    shop.topics.send(*old, *walks(60, OLD_USERS))
    outcome = shop.round("weights")
    assert outcome.candidate is not None and not any("forgetting: " in line for line in outcome.lines)
    assert any("forgetting is not judged: the history holds 0 learned questions" in line for line in outcome.lines)


@pytest.mark.parametrize(("gap_minutes", "fitted"), [(1, True), (10_000, False)])
def test_p_click_is_calibrated_on_closed_sessions_and_judged_on_later_ones(
    tmp_path: Path, champion: Path, gap_minutes: int, fitted: bool
) -> None:
    limits = EventSettings(session_gap_minutes=gap_minutes)
    coming = made_by(champion, tmp_path, [*walks(OLD_USERS), *trend(60, OLD_USERS)], limits)
    closed, clicks_ms = coming._closed()
    before = int((closed.time_ms < clicks_ms).sum())
    assert (before >= CALIBRATED_BY) is fitted and (len(closed) - before >= CALIBRATED_BY) is fitted
    assert len(closed) == 0 or closed.time_ms.max() <= int(coming.events[-1].event_time) - limits.session_gap_ms
