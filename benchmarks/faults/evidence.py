"""How it is known that a fault struck: a process that is gone and its successor, a port that refused, a log that says it."""

import contextlib
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from operators.waiting import wait_while

GONE_S, SUCCESSOR_S = 10.0, 8.0
NO_SPACE = b"No space left on device"


@dataclass(frozen=True)
class Strike:
    """A fault that was done, from `at` to `until` (monotonic s); `evidence` is empty where nothing shows that it struck."""

    fault: str
    evidence: str
    at: float
    until: float
    failure: str = ""  # why it could not be done
    lasts: bool = False  # until the load ends: nothing is to be fresh again after it

    @property
    def doubt(self) -> str:
        """Why it is not known that it struck; empty where it is."""
        return "" if self.evidence else f"{self.fault}: {self.failure or 'nothing shows that it struck'}"


def struck_now(fault: str, evidence: str, *, failure: str = "", lasts: bool = False) -> Strike:
    """A fault of this moment."""
    now = time.monotonic()
    return Strike(fault, evidence, now, now, failure, lasts)


class Victim:
    """A process that signals are sent to. `successor` gives the pid that has its place; `address`: where it serves, if it does."""

    def __init__(
        self, process: psutil.Process, successor: Callable[[], int | None], address: tuple[str, int] | None = None
    ) -> None:
        self.process, self._successor, self._address = process, successor, address

    def kill(self, number: signal.Signals = signal.SIGKILL) -> str:
        """Sends a deadly signal; what shows that it struck, empty where the process lives on."""
        self.process.send_signal(number)
        # a wrapper that dies would leave the process that serves
        if wait_while(self._lives, GONE_S, 0.01) or (self._address is not None and not refuses(self._address)):
            return ""
        refused = f", port {self._address[1]} refused" if self._address else ""
        successor_pid = next_pid(self._successor, self.process.pid)
        return f"pid {self.process.pid} gone{refused}, " + (
            f"then pid {successor_pid}" if successor_pid else "no other yet"
        )

    def pause(self, seconds: float) -> str:
        """Stopped for so long, and then set free again; what shows it. The process may be killed meanwhile."""
        started_s = time.monotonic()
        self.process.suspend()
        stopped = not wait_while(lambda: not self._stopped(), 1, 0.01)
        time.sleep(max(0.0, started_s + seconds - time.monotonic()))
        lasted, still = time.monotonic() - started_s, self._stopped()
        with contextlib.suppress(psutil.NoSuchProcess):
            self.process.resume()
        if not stopped or (self._lives() and not still):
            return ""
        return f"pid {self.process.pid} stood still " + (f"{lasted:.1f} s" if still else "until it was killed")

    def _stopped(self) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            return self._lives() and self.process.status() == psutil.STATUS_STOPPED
        return False

    def _lives(self) -> bool:
        """A pid that was given to another process is not this one."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return bool(self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE)
        return False


def next_pid(successor: Callable[[], int | None], old: int) -> int | None:
    """The pid of the process that takes a place, soon; None where none does."""
    deadline = time.monotonic() + SUCCESSOR_S
    while time.monotonic() < deadline:
        with contextlib.suppress(Exception):  # whoever is asked may be down too
            pid = successor()
            if pid and pid != old:
                return pid
        time.sleep(0.1)
    return None


def refuses(address: tuple[str, int]) -> bool:
    """Whether nobody listens there."""
    try:
        socket.create_connection(address, 1).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


class Logs:
    """What is added to the log files of a folder from now on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sizes = {file: file.stat().st_size for file in self._files()}

    def files_with(self, text: bytes) -> list[str]:
        """Names of those to which it was added."""
        return sorted(file.name for file in self._files() if text in self._added(file))

    def _added(self, file: Path) -> bytes:
        content, before = file.read_bytes(), self._sizes.get(file, 0)
        return content[before:] if len(content) >= before else content  # begun anew, when it was full

    def _files(self) -> list[Path]:
        return [file for file in self._folder.rglob("*") if file.is_file()]
