"""Where the local stack keeps things: one folder, removed by `liveshelf down --purge`."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from operators.errors import StackError
from operators.settings import Settings

HERE = Path(__file__).resolve().parent


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

    def make(self) -> None:
        """Creates the folders."""
        state = (self.checkpoints, self.savepoints, self.high_availability, self.zookeeper)
        for folder in (self.kafka, self.logs, *state, self.tables, self.prometheus, self.targets):
            folder.mkdir(parents=True, exist_ok=True)

    def purge(self) -> None:
        """Removes everything but the jars."""
        for entry in self.data.iterdir() if self.data.is_dir() else ():
            if entry != self.jars:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def tool(name: str, package: str) -> str:
    """The path of a program, or a `StackError` that names Debian's package."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        raise StackError(f"the program `{name}`", "nothing of that name on PATH", f"apt-get install {package}")
    return found
