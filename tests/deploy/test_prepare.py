"""`make setup` on machines as they are, with programs that only write down what they are asked."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.places import ROOT

PROGRAMS = ("mvn", "prometheus", "prometheus-alertmanager", "apt-get", "systemctl")
PYTHON = r"""#!/bin/sh
echo "python $*" >> "{log}"
case "$*" in
*"import ensurepip"*) exit {ensurepip} ;;
"-m venv .venv")
  {venv}
  mkdir -p .venv/bin && cp "$0" .venv/bin/python
  printf '#!%s/.venv/bin/python\n' "$PWD" > .venv/bin/liveshelf ;;
esac
"""


class Checkout:
    """A folder with what the script reads, and a PATH of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log, self.bin = folder / "clone", folder / "log", folder / "bin"
        (self.folder / "deploy").mkdir(parents=True)
        shutil.copy(ROOT / "deploy" / "prepare.sh", self.folder / "deploy")
        shutil.copytree(ROOT / "requirements", self.folder / "requirements")
        shutil.copy(ROOT / "pyproject.toml", self.folder)
        self.bin.mkdir()
        for name in PROGRAMS:
            self.program(name, "#!/bin/sh\nexit 1\n")
        self.java("17.0.2")
        self.python()

    def program(self, name: str, text: str) -> Path:
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)
        return self.bin / name

    def java(self, version: str, name: str = "java") -> None:
        said = f'Picked up JAVA_TOOL_OPTIONS: -Dx=y\nopenjdk version "{version}" 2026-07-21'
        self.program(name, f"#!/bin/sh\ncat >&2 <<'END'\n{said}\nEND\n")

    def python(self, *, venv: str = ":", ensurepip: int = 0) -> None:
        self.program("python3.11", PYTHON.format(log=self.log, venv=venv, ensurepip=ensurepip))

    def setup(self, **environment: str) -> tuple[int, str]:
        """Exit code, and what it says."""
        path = f"{self.bin}:/usr/bin:/bin"
        own = {"PATH": path, "PYTHON": str(self.bin / "python3.11"), "HOME": str(self.folder)} | environment
        done = subprocess.run(
            [str(self.folder / "deploy" / "prepare.sh")], env=own, capture_output=True, text=True, timeout=60
        )
        return done.returncode, done.stderr

    def made(self) -> int:
        """How often a .venv was made."""
        text = self.log.read_text() if self.log.exists() else ""
        return text.count("python -m venv .venv")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_a_second_setup_leaves_everything_alone(checkout: Checkout) -> None:
    assert checkout.setup()[0] == 0
    assert checkout.setup() == (0, "")
    assert checkout.made() == 1


def test_a_moved_checkout_gets_a_new_venv(checkout: Checkout) -> None:
    assert checkout.setup()[0] == 0
    moved = checkout.folder.with_name("my clone")
    checkout.folder.rename(moved)
    checkout.folder = moved
    code, said = checkout.setup()
    assert (code, checkout.made()) == (0, 2)
    assert "moved" in said
    assert (moved / ".venv" / "bin" / "liveshelf").read_text().startswith(f"#!{moved}/")
    assert checkout.setup() == (0, "")


def test_a_venv_that_a_link_leads_to_is_where_it_was_made(checkout: Checkout) -> None:
    """As in a second worktree that shares the first one's."""
    assert checkout.setup()[0] == 0
    second = checkout.folder.with_name("second")
    shutil.copytree(checkout.folder, second, ignore=shutil.ignore_patterns(".venv"))
    (second / ".venv").symlink_to(checkout.folder / ".venv")
    checkout.folder = second
    assert checkout.setup() == (0, "")
    assert checkout.made() == 1


@pytest.mark.parametrize("version", ["11.0.21", "1.8.0_392"])
def test_an_old_java_is_said_in_one_line(checkout: Checkout, version: str) -> None:
    checkout.java(version)
    code, said = checkout.setup()
    assert code == 1 and said.count("\n") == 1
    assert "Java 17 or newer" in said and f"{checkout.bin}/java (of PATH)" in said and "openjdk-17" in said


def test_the_java_of_java_home_counts_too(checkout: Checkout) -> None:
    (checkout.bin / "bin").mkdir()
    checkout.java("11.0.21", "bin/java")
    code, said = checkout.setup(JAVA_HOME=str(checkout.bin))
    assert code == 1 and "of JAVA_HOME" in said
    assert checkout.setup(JAVA_HOME=str(checkout.folder))[0] == 1, "there is none: Flink would not start"


def test_a_venv_that_cannot_be_made_says_why(checkout: Checkout) -> None:
    checkout.python(venv="echo 'Error: [Errno 28] No space left on device' >&2; exit 1")
    code, said = checkout.setup()
    assert code == 1 and "No space left" in said and "missing: venv" not in said


def test_a_python_without_venv_names_the_package(checkout: Checkout) -> None:
    checkout.python(ensurepip=1)
    code, said = checkout.setup()
    assert code != 0 and "venv" in said


@pytest.mark.skipif(os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may write everywhere")
def test_a_folder_that_this_user_may_not_write_is_called_so(checkout: Checkout) -> None:
    for path in (checkout.bin, *checkout.folder.rglob("*")):
        path.chmod(0o755)
    checkout.folder.chmod(0o555)
    for folder in checkout.folder.parents:
        if folder.owner() == checkout.folder.owner() and folder.name.startswith(("pytest", "popen-", "test_")):
            folder.chmod(0o755)
    other = "setpriv --reuid=65534 --regid=65534 --clear-groups " if os.geteuid() == 0 else ""
    command = f"{other}{checkout.folder}/deploy/prepare.sh"
    own = {"PATH": f"{checkout.bin}:/usr/bin:/bin", "PYTHON": str(checkout.bin / "python3.11")}
    checkout.log.touch(0o666)
    checkout.log.chmod(0o666)
    done = subprocess.run(command, shell=True, env=own, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert f"may not write in {checkout.folder}" in done.stderr and "venv" not in done.stderr.replace(".venv", "")
