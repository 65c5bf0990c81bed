"""The lists that a bundle would give the simulated shoppers, made in this process with the kernel of the job.

Same `step`, features, scorer and rules as the job, on the same events; only the engine and the broker are missing.
"""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.simulator.crowd import Slate
from benchmarks.simulator.drift import Rows
from benchmarks.simulator.world import World
from operators.lists.catalogue import Catalogue
from operators.lists.list_maker import ListMaker
from operators.lists.request import Request
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer
from operators.records.contracts import Event, RecommendationList
from operators.settings import Settings
from operators.shopper.user_state import last_event_ms, step
from operators.time_units import DAY_MS


class ShopperStates:
    """The packed state of each shopper, as the job has it after the same events."""

    def __init__(self, settings: Settings) -> None:
        self._states: dict[str, bytes] = {}
        self._gap_ms, self._middle = settings.events.session_gap_ms, settings.events.rating_middle
        self._lifetime_ms = settings.job.state_ttl_days * DAY_MS

    def apply(self, event: Event) -> None:
        """The next event of its user."""
        user, arrived_ms = event.user_id, int(event.event_time)
        state = self._states.get(user)
        self._states[user] = step(state, event, self._gap_ms, arrived_ms, self._lifetime_ms, self._middle).state

    def request(self, user: str) -> Request | None:
        """A request for the user's list from their state now; None: the user has none."""
        state = self._states.get(user)
        return None if state is None else Request(user, state, last_event_ms(state))


class BundleLists:
    """One bundle's lists, with the catalogue as it is on sale."""

    def __init__(self, folder: Path, settings: Settings, world: World) -> None:
        """Raises `BundleError`."""
        bundle = ModelBundle.load(folder)
        self._world, self._now_ms = world, 0
        self._catalogue = Catalogue(bundle.vocabulary, settings.lists.catalogue_coverage)
        scorer = Scorer(bundle, settings.scorer)
        self._maker = ListMaker(bundle, scorer, self._catalogue, settings.lists, lambda: self._now_ms)
        self.put_on_sale(world.present)

    def put_on_sale(self, rows: Rows) -> None:
        """Items that have arrived."""
        for item in self._world.catalogue(rows):
            self._catalogue.changed(item.item_id, item)

    def slates(self, requests: Sequence[Request]) -> list[Slate]:
        """A list for each request. Raises `NotFinite` where the model gave none."""
        if not requests:
            return []
        self._now_ms = max(request.event_time for request in requests)
        slates: list[Slate] = []
        for answer in self._maker.make(requests):
            if isinstance(answer, Exception):
                raise answer
            slates.append(slate_of(answer))
        return slates


def slate_of(made: RecommendationList) -> Slate:
    """A list of the job as a shopper sees it."""
    model = f"{made.model.name} {made.model.version}"
    return Slate(made.recommendation_id, [item.item_id for item in made.items], model, made.source)
