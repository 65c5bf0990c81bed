"""The error tree. Every error names what was expected, what came, and the next step.

LiveshelfError
├── BadRecord          one record on a topic; becomes a dead letter with `reason`
├── BundleError        a model bundle that must not be served
├── RolloutError       a change of the models that serve which cannot be made
├── SettingsError      liveshelf.toml, a LIVESHELF_ variable or a flag
├── StackError         a part of the local stack (jar, port, process; `retriable` when it may work later)
├── ClusterError       the Flink cluster refused or failed
├── BrokerError        Kafka refused or failed (`retriable` when it may come back)
├── EventsFileError    a file of events or catalogue records
└── SearchError        a search that cannot be answered: its filters, its synonyms, its judgments
"""


class LiveshelfError(Exception):
    """Base of all errors that Liveshelf raises on purpose.

    `expected`, `came` and `fix` are sentences without a full stop; `str()` joins them.
    """

    retriable = False

    def __init__(self, expected: str, came: str, fix: str, *, retriable: bool | None = None) -> None:
        super().__init__(expected, came, fix)
        self.expected = expected
        self.came = came
        self.fix = fix
        if retriable is not None:
            self.retriable = retriable

    def __str__(self) -> str:
        return f"expected {self.expected}; came {self.came}. Next: {self.fix}."


class BadRecord(LiveshelfError):
    """A record that cannot be used. `reason` is one of `operators.records.contracts.DEAD_LETTER_REASONS`."""

    def __init__(
        self, reason: str, expected: str, came: str, fix: str = "repair the record and publish it again"
    ) -> None:
        super().__init__(expected, came, fix)
        self.reason = reason


class BundleError(LiveshelfError):
    """A model bundle that failed a check."""


class RolloutError(LiveshelfError):
    """A change of the models that serve which cannot be made."""


class SettingsError(LiveshelfError):
    """A setting that is unknown or has a wrong value."""


class StackError(LiveshelfError):
    """A part of the local stack that is missing or does not answer."""


class ClusterError(LiveshelfError):
    """Flink refused a request or a job failed."""


class BrokerError(LiveshelfError):
    """Kafka refused a request or is out of reach."""


class EventsFileError(LiveshelfError):
    """A file whose lines are not canonical records."""


class SearchError(LiveshelfError):
    """Filters, synonyms or judgments of a search that cannot be used."""
