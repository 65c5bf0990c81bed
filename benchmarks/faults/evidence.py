"""The evidence that a fault struck: a process that ended and its successor, a refused port, or a line in a log."""

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
    """An injected fault, from `at` to `until` (monotonic s); `evidence` is empty when nothing shows that it struck."""

    fault: str
    evidence: str
    at: float
    until: float
    failure: str = ""  # the error that prevented the injection
    lasts: bool = False  # until the end of the load, so that no recovery follows

    @property
    def doubt(self) -> str:
        """Why it is uncertain that the fault struck; empty when there is evidence."""
        return "" if self.evidence else f"{self.fault}: {self.failure or 'nothing shows that it struck'}"


def struck_now(fault: str, evidence: str, *, failure: str = "", lasts: bool = False) -> Strike:
    """A strike at this moment."""
    now = time.monotonic()
    return Strike(fault, evidence, now, now, failure, lasts)


class Victim:
    """A process that receives signals. `successor` returns the pid that replaced it; `address`: where it serves, if any."""

    def __init__(
        self, process: psutil.Process, successor: Callable[[], int | None], address: tuple[str, int] | None = None
    ) -> None:
        self.process, self._successor, self._address = process, successor, address

    def kill(self, number: signal.Signals = signal.SIGKILL) -> str:
        """Sends a deadly signal and returns the evidence; empty when the process lives on."""
        self.process.send_signal(number)
        # a dead wrapper may leave a serving process behind, and a dead main thread others, with the port, for some ms
        if wait_while(self._is_alive, GONE_S, 0.01) or wait_while(self._answers, GONE_S, 0.05):
            return ""
        refused = f", port {self._address[1]} refused" if self._address else ""
        successor_pid = next_pid(self._successor, self.process.pid)
        return f"pid {self.process.pid} gone{refused}, " + (
            f"then pid {successor_pid}" if successor_pid else "no other yet"
        )

    def pause(self, seconds: float) -> str:
        """Stops the process for `seconds`, resumes it and returns the evidence. It may be killed while it is stopped."""
        started_s = time.monotonic()
        self.process.suspend()
        stopped = not wait_while(lambda: not self._stopped(), 1, 0.01)
        time.sleep(max(0.0, started_s + seconds - time.monotonic()))
        stopped_s, is_stopped = time.monotonic() - started_s, self._stopped()
        with contextlib.suppress(psutil.NoSuchProcess):
            self.process.resume()
        if not stopped or (self._is_alive() and not is_stopped):
            return ""
        return f"pid {self.process.pid} stood still " + (f"{stopped_s:.1f} s" if is_stopped else "until it was killed")

    def _answers(self) -> bool:
        return self._address is not None and not refuses(self._address)

    def _stopped(self) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            return self._is_alive() and self.process.status() == psutil.STATUS_STOPPED
        return False

    def _is_alive(self) -> bool:
        """Whether this process is alive; its pid may belong to another process by now."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return bool(self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE)
        return False


def next_pid(successor: Callable[[], int | None], old_pid: int) -> int | None:
    """Waits for the successor's pid; None when no successor appears."""
    deadline = time.monotonic() + SUCCESSOR_S
    while time.monotonic() < deadline:
        with contextlib.suppress(Exception):  # supervisor or cluster may be down too
            pid = successor()
            if pid and pid != old_pid:
                return pid
        time.sleep(0.1)
    return None


def refuses(address: tuple[str, int]) -> bool:
    """Whether no process listens at this address."""
    try:
        socket.create_connection(address, 1).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


class Logs:
    """The text added to the log files of a folder since this object was created."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sizes = {file: file.stat().st_size for file in self._files()}

    def files_with(self, text: bytes) -> list[str]:
        """The names of the files whose added text contains `text`."""
        return sorted(file.name for file in self._files() if text in self._added(file))

    def _added(self, file: Path) -> bytes:
        content, old_size = file.read_bytes(), self._sizes.get(file, 0)
        return content[old_size:] if len(content) >= old_size else content  # shorter: the log was rotated

    def _files(self) -> list[Path]:
        return [file for file in self._folder.rglob("*") if file.is_file()]
