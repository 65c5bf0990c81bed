"""Users in flight when the scorer process died, so that a request that crashes native code does it twice at most.

A crash inside ONNX Runtime kills the scorer process. The operator starts another one and sends the same requests
again, and the same request would kill that process too. The journal is a small memory-mapped file: the scorer writes the
users of a batch before it scores them and clears them afterwards. A new process treats the users that it reads there as
suspects and scores each alone. A user who was alone when the process died again is guilty and gets fallback lists for an
hour.
"""

import contextlib
import fcntl
import logging
import mmap
import os
import stat
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from operators.errors import StackError
from operators.lists.request import Request
from operators.shopper.user_state import id_hash

log = logging.getLogger(__name__)
R = TypeVar("R")

BATCH_MAX, GUILTY_MAX = 1024, 256
GUILTY_SECONDS = 3600
ENDING, RETENTION_SECONDS = ".crashes", 86_400  # a journal of a retired bundle is useless after a day
_head = struct.Struct("<IIII")  # users in flight, whether a suspect is scored alone, suspects, guilty
_user = struct.Struct("<Q")
_verdict = struct.Struct("<QI")  # user, until (epoch s)
IN_FLIGHT_AT = _head.size
SUSPECTS_AT = IN_FLIGHT_AT + BATCH_MAX * _user.size
GUILTY_AT = SUSPECTS_AT + BATCH_MAX * _user.size
SIZE = GUILTY_AT + GUILTY_MAX * _verdict.size


def _is_intact(content: bytes) -> bool:
    if len(content) != SIZE:
        return False
    flying, trial, suspects, guilty = _head.unpack_from(content)
    return bool(max(flying, suspects) <= BATCH_MAX and trial <= 1 and guilty <= GUILTY_MAX)


def _open(file: Path) -> int:
    """A descriptor of the file. Refuses a link, which could lead the writes to any file of this user, and another user's
    file, which its owner could truncate under the map."""
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StackError("a crash journal of this user", f"{file}: {error.strerror}", f"rm {file}") from error
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid() or not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        came = f"of the user with uid {status.st_uid}" if stat.S_ISREG(status.st_mode) else "no plain file"
        raise StackError(
            "a crash journal of this user", f"{file}: {came}", f"rm {file}, or name another folder in job.tables_dir"
        )
    os.utime(descriptor)
    return descriptor


def _remove_unused(folder: Path, now_s: float) -> None:
    for journal in folder.glob(f"*{ENDING}"):
        with contextlib.suppress(OSError):
            if now_s - journal.lstat().st_mtime <= RETENTION_SECONDS:
                continue
            descriptor = os.open(journal, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises where a process uses it
                journal.unlink()
            finally:
                os.close(descriptor)


class CrashesTheProcess(RuntimeError):
    """Scoring this user has killed the process before."""


class CrashJournal:
    """One file for each scorer. All methods but the constructor are for the scorer's thread."""

    def __init__(self, file: Path, clock_s: Callable[[], float]) -> None:
        """Reads the journal of the last process. It stores users as hashes. A damaged file is replaced.

        `clock_s` gives epoch s. Removes `.crashes` journals in the same folder that no process has used for a day:
        each bundle has its own. Raises `StackError` where the file is a link or another user's.
        """
        self._clock_s = clock_s
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = _open(file)
        if not _is_intact(os.pread(self._file, SIZE + 1, 0)):
            os.ftruncate(self._file, 0)
        os.posix_fallocate(self._file, 0, SIZE)  # else a full disk would kill the process when it writes to the map
        fcntl.flock(self._file, fcntl.LOCK_SH)  # marks it as in use until the process ends
        _remove_unused(file.parent, clock_s())
        self._map = mmap.mmap(self._file, SIZE)
        flying, trial, suspects, guilty = _head.unpack_from(self._map)
        in_flight = self._users(IN_FLIGHT_AT, flying)
        self._suspects = dict.fromkeys(self._users(SUSPECTS_AT, suspects))
        self._guilty = dict(_verdict.unpack_from(self._map, GUILTY_AT + n * _verdict.size) for n in range(guilty))
        if trial:
            for user in in_flight:
                self._suspects.pop(user, None)
                self._guilty[user] = int(clock_s()) + GUILTY_SECONDS
            log.error("scoring one user killed the process twice: fallback lists for %s s", GUILTY_SECONDS)
        elif in_flight:
            self._suspects |= dict.fromkeys(in_flight)
            log.warning("the process died while %s users were scored: each is scored alone now", len(in_flight))
        self._write(SUSPECTS_AT, self._suspects)
        for number, entry in enumerate(list(self._guilty.items())[-GUILTY_MAX:]):
            _verdict.pack_into(self._map, GUILTY_AT + number * _verdict.size, *entry)
        self._head(0, trial=False)

    def score(
        self, requests: Sequence[Request], score: Callable[[Sequence[Request]], list[R | Exception]]
    ) -> list[R | Exception]:
        """The results of `score`: not called for guilty users, once for each suspect, once for all others."""
        if not self._suspects and not self._guilty:
            return self._score_recorded(requests, score, trial=False)
        answers: dict[str, R | Exception] = {}
        others = []
        for request in requests:
            user = id_hash(request.user_id)
            if self._is_guilty(user):
                answers[request.user_id] = CrashesTheProcess(request.user_id)
            elif user in self._suspects:
                (answers[request.user_id],) = self._score_recorded([request], score, trial=True)
                del self._suspects[user]
                self._write(SUSPECTS_AT, self._suspects)
                self._head(0, trial=False)
            else:
                others.append(request)
        if others:
            results = self._score_recorded(others, score, trial=False)
            answers |= {request.user_id: result for request, result in zip(others, results, strict=True)}
        return [answers[request.user_id] for request in requests]

    def close(self) -> None:
        """Closes the file. Later calls of `score` fail."""
        self._map.close()
        os.close(self._file)

    def _score_recorded(
        self, requests: Sequence[Request], score: Callable[[Sequence[Request]], list[R | Exception]], *, trial: bool
    ) -> list[R | Exception]:
        users = [id_hash(request.user_id) for request in requests[:BATCH_MAX]]
        struct.pack_into(f"<{len(users)}Q", self._map, IN_FLIGHT_AT, *users)
        self._head(len(users), trial=trial)
        try:
            return score(requests)
        finally:
            _user.pack_into(self._map, 0, 0)  # no user in flight, no trial

    def _is_guilty(self, user: int) -> bool:
        until = self._guilty.get(user)
        if until is not None and self._clock_s() > until:
            del self._guilty[user]
            return False
        return until is not None

    def _head(self, flying: int, *, trial: bool) -> None:
        _head.pack_into(
            self._map, 0, flying, trial, min(len(self._suspects), BATCH_MAX), min(len(self._guilty), GUILTY_MAX)
        )

    def _users(self, at: int, count: int) -> list[int]:
        return [int(_user.unpack_from(self._map, at + n * _user.size)[0]) for n in range(count)]

    def _write(self, at: int, users: dict[int, None]) -> None:
        for number, user in enumerate(list(users)[:BATCH_MAX]):
            _user.pack_into(self._map, at + number * _user.size, user)
