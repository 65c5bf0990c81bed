"""Where the local stack keeps things: one folder, removed by `liveshelf down --purge`."""

import contextlib
import hashlib
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from deploy.local.data_folder import claim, release, tighten
from operators.configuration.private_folder import user_folder
from operators.errors import StackError
from operators.settings import Settings

HERE = Path(__file__).resolve().parent
LONGEST = 107 - len("/supervisor.sock.1234567")  # bytes of a Unix socket's name; supervisor makes it with its pid first
ALIASES = Path("/tmp")  # whatever TMPDIR says: each verb must find the socket of the supervisor
_PLAIN = re.compile(r"[\w/.+-]*", re.ASCII)


@dataclass(frozen=True)
class Layout:
    """All paths of one local stack below `data`."""

    data: Path
    jars: Path  # the broker's jars and the connector; `--purge` keeps them

    @classmethod
    def of(cls, settings: Settings) -> "Layout":
        """The layout that the settings name."""
        return cls(settings.resolve(settings.stack.data_dir), settings.resolve(settings.stack.jars_dir))

    @property
    def flink_home(self) -> Path:
        return self.data / "flink"

    @property
    def kafka(self) -> Path:
        return self.data / "kafka"

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    @property
    def checkpoints(self) -> Path:
        return self.data / "checkpoints"

    @property
    def savepoints(self) -> Path:
        return self.data / "savepoints"

    @property
    def tables(self) -> Path:
        """Local rocksdict tables of the storefront and of the TaskManagers."""
        return self.data / "tables"

    @property
    def zookeeper(self) -> Path:
        return self.data / "zookeeper"

    @property
    def high_availability(self) -> Path:
        """What Flink keeps of running jobs, so that another JobManager can go on with them."""
        return self.data / "high-availability"

    @property
    def prometheus(self) -> Path:
        return self.data / "prometheus"

    @property
    def targets(self) -> Path:
        """Where processes tell Prometheus of themselves."""
        return self.prometheus / "targets"

    @property
    def secrets(self) -> Path:
        """Passwords and certificates of `up --secure`."""
        return self.data / "secrets"

    @property
    def supervisor_conf(self) -> Path:
        return self.data / "supervisord.conf"

    @property
    def alias(self) -> Path:
        """A name of `data` for what bears neither blanks nor length: Flink's scripts, JVM options, a socket.

        `data` itself where its name is plain and short, else a link in a folder of this user.
        """
        if _PLAIN.fullmatch(str(self.data)) and len(os.fsencode(self.data)) <= LONGEST:
            return self.data
        digest = hashlib.blake2b(os.fsencode(self.data), digest_size=6).hexdigest()
        link = user_folder("stacks", "stack.data_dir", below=ALIASES) / digest
        with contextlib.suppress(FileExistsError):
            link.symlink_to(self.data)
        return link

    @property
    def supervisor_socket(self) -> Path:
        return self.alias / "supervisor.sock"

    def make(self) -> None:
        """Creates the folders, for this user alone. Raises `StackError` where `data` is no folder for a stack."""
        claim(self.data, self.jars)
        state = (self.checkpoints, self.savepoints, self.high_availability, self.zookeeper)
        for folder in (self.kafka, self.logs, *state, self.tables, self.prometheus, self.targets):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        tighten(self.data)

    def purge(self) -> None:
        """Removes what the stack made, not the jars. Raises `StackError` where `data` does not carry our marker."""
        release(self.data, self.jars)
        if self.alias != self.data:
            self.alias.unlink(missing_ok=True)


def tool(name: str, package: str) -> str:
    """The path of a program, or a `StackError` that names Debian's package."""
    beside = Path(sys.executable).parent / name
    path = str(beside) if beside.is_file() else shutil.which(name)
    if path is None:
        raise StackError(f"the program `{name}`", "nothing of that name on PATH", f"apt-get install {package}")
    return path
