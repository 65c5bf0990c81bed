"""Errors of our own code in the operator: each is logged and counted, and none stops the job."""

import logging
from collections.abc import Callable

log = logging.getLogger(__name__)
LOG_INTERVAL_S = 60.0  # the same error is logged once in this time: a bug may raise at every record
MAX_KINDS = 100


class OwnErrors:
    """Called by the operator's thread inside an `except` block."""

    def __init__(self, count: Callable[[str], None], clock_s: Callable[[], float]) -> None:
        """`count(where)` is called for each error; `clock_s` gives epoch s."""
        self._count = count
        self._clock_s = clock_s
        self._logged_at: dict[str, float] = {}

    def report(self, where: str, error: Exception) -> None:
        """Logs the error with its traceback, without the user: logs hold no ids."""
        self._count(where)
        kind, now = f"{where}: {type(error).__name__} in {_place(error)}", self._clock_s()
        if now - self._logged_at.get(kind, float("-inf")) >= LOG_INTERVAL_S:
            if len(self._logged_at) >= MAX_KINDS:
                self._logged_at.clear()
            self._logged_at[kind] = now
            log.error("an error of Liveshelf's own: %s", kind, exc_info=error)


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}" if trace else "?"
