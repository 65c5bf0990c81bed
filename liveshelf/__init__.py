"""Liveshelf for a shop's own program: `from liveshelf import Client`. The command `liveshelf` is `liveshelf.main`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from liveshelf.client import BadEvent as BadEvent
    from liveshelf.client import Client as Client
    from liveshelf.client import Published as Published
    from operators.errors import BadRecord as BadRecord
    from operators.errors import BrokerError as BrokerError
    from operators.errors import LiveshelfError as LiveshelfError
    from operators.errors import SettingsError as SettingsError
    from operators.records.contracts import Event as Event
    from operators.records.contracts import RecommendationList as RecommendationList
    from operators.records.field_effects import FieldWarning as FieldWarning
    from pipelines.topics.list_follower import Erased as Erased

PLACES = {
    "liveshelf.client": ("BadEvent", "Client", "Published"),
    "operators.errors": ("BadRecord", "BrokerError", "LiveshelfError", "SettingsError"),
    "operators.records.contracts": ("Event", "RecommendationList"),
    "operators.records.field_effects": ("FieldWarning",),
    "pipelines.topics.list_follower": ("Erased",),
}


def __getattr__(name: str) -> Any:
    """Loads a name's module when it is first used: the command starts without a Kafka client."""
    for module, names in PLACES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
