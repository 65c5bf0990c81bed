"""Errors of our own code in the operator: each is logged and counted, none stops the job, and none is a shop's fault."""

import logging
from collections.abc import Callable

log = logging.getLogger(__name__)
SAY_AGAIN_S = 60.0  # the same error is logged once in so many seconds: a bug may strike with each record
LONGEST_MS = 3_600_000
KINDS_KEPT = 100


class OwnErrors:
    """Called by the operator's thread inside an `except` block."""

    def __init__(self, count: Callable[[str], None], clock_s: Callable[[], float], retry_after_ms: int) -> None:
        """`count(where)` is told of each error; `clock_s` gives epoch s; `retry_after_ms`: the first back-off."""
        self._count = count
        self._clock_s = clock_s
        self._retry_after_ms = retry_after_ms
        self._said: dict[str, float] = {}
        self._back_off_ms: dict[str, int] = {}  # of users with a promise that failed: it is set again each time

    def report(self, where: str, error: Exception) -> None:
        """Logs the error with its traceback, without the user: ids do not belong into logs."""
        self._count(where)
        kind, now = f"{where}: {type(error).__name__} in {_place(error)}", self._clock_s()
        if now - self._said.get(kind, float("-inf")) >= SAY_AGAIN_S:
            if len(self._said) >= KINDS_KEPT:
                self._said.clear()
            self._said[kind] = now
            log.error("an error of Liveshelf's own: %s", kind, exc_info=error)

    def again_ms(self, user: str) -> int:
        """When to try this user again: twice as long each time, an hour at most."""
        wait = min(self._back_off_ms.get(user, self._retry_after_ms // 2) * 2, LONGEST_MS)
        self._back_off_ms[user] = wait
        return wait

    def forget(self, user: str) -> None:
        """It went well."""
        if self._back_off_ms:
            self._back_off_ms.pop(user, None)


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}" if trace else "?"
