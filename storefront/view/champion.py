"""The bundle whose popular and similar items the storefront shows: the champion of the rollout, else that of the
settings."""

import logging
from collections.abc import Callable
from pathlib import Path

from operators.errors import BundleError
from operators.kafka_io.compacted_table import CompactedTable
from operators.kafka_io.table_consumer import Consumer
from operators.model.model_bundle import ModelBundle
from operators.records.contracts import MODELS
from operators.rollout.bundle_store import fetched, forget
from operators.rollout.rollout import Rollout
from operators.rollout.rollout_follower import RolloutFollower
from operators.rollout.rollout_rows import RolloutRows
from operators.settings import Settings

log = logging.getLogger(__name__)
BUFFER_MB = 4


class Champion:
    """Follows the champion in a thread of its own."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        connect: Callable[[], Consumer],
        serve: Callable[[ModelBundle | None], None],
    ) -> None:
        """`folder`: for tables and copies of bundles. `serve` is called when another bundle is champion."""
        self._settings, self._cache, self._serve = settings, folder / "bundles", serve
        self._served = ""  # the sum of the bundle that `serve` got last; empty: that of the settings, or none yet
        table = CompactedTable(MODELS, folder / "models", connect, RolloutRows(), write_buffer_mb=BUFFER_MB)
        self._follower = RolloutFollower(table, settings.job.name, self._apply)

    def open(self) -> None:
        """Serves the champion of the local copy at once, and follows the topic."""
        self._follower.open(0)
        self._follower.follow()

    def close(self) -> None:
        """Stops following."""
        self._follower.close()

    def _apply(self, rollout: Rollout | None) -> None:
        keys = self._settings.bundle.required_keys
        if rollout is None:
            self._serve(bundle_of_settings(self._settings))
            self._served = ""
            return
        if rollout.champion.sum != self._served:
            bundle = ModelBundle.load(fetched(rollout.champion, self._cache, keys), keys)
            self._serve(bundle)
            self._served = rollout.champion.sum
            log.info("popular and similar items are those of %s", rollout.champion.label)
        # the champion before too: a rollback must not need the store
        forget(self._cache, [bundle.sum for bundle in (rollout.champion, rollout.previous) if bundle is not None])


def bundle_of_settings(settings: Settings) -> ModelBundle | None:
    """The bundle of `bundle.path`; None where it must not serve: users without a list get an empty one, and /readyz says so."""
    try:
        return ModelBundle.load(settings.resolve(settings.bundle.path), settings.bundle.required_keys)
    except BundleError as error:
        log.error("%s", error)
        return None
