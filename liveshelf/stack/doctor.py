"""`liveshelf doctor`: what this machine has, what is missing, and why a provider is taken."""

import shutil
import sys

import typer

from liveshelf.terminal.output import JsonFlag, machine, table
from operators.errors import LiveshelfError
from operators.settings import load_settings
from storefront.watching.exposure import opened

NEEDED = {"java": "openjdk-17-jre-headless", "mvn": "maven"}
OPTIONAL = {"prometheus": "prometheus", "chromium": "chromium"}


def run(json: bool = JsonFlag) -> None:
    """Checks programs, jars, ports, disk, the broker's address and the scorer's provider. Exit 1 when one fails.

    Example: liveshelf doctor
    """
    settings = load_settings()
    checks: dict[str, tuple[bool, str]] = {}
    checks["python"] = (sys.version_info[:2] == (3, 11), sys.version.split()[0])
    for program, package in NEEDED.items():
        checks[program] = (bool(path := shutil.which(program)), path or f"apt-get install {package}")
    for program, package in OPTIONAL.items():
        checks[program] = (True, shutil.which(program) or f"optional, left out (apt-get install {package})")
    checks |= _java() | _stack(settings) | _bundle(settings)
    checks["storefront's host"] = (True, opened(settings.storefront))
    if json:
        machine({name: {"ok": ok, "says": says} for name, (ok, says) in checks.items()})
    else:
        table("", ("check", "", "says"), [(name, "ok" if ok else "FAIL", says) for name, (ok, says) in checks.items()])
    raise typer.Exit(0 if all(ok for ok, _ in checks.values()) else 1)


def _java() -> dict[str, tuple[bool, str]]:
    from deploy.local.java import java_versions

    try:
        return {"java version": (True, ", ".join(f"{program}: {said}" for program, said in java_versions().items()))}
    except LiveshelfError as error:
        return {"java version": (False, str(error))}


def _stack(settings) -> dict[str, tuple[bool, str]]:  # type: ignore[no-untyped-def]
    from deploy.local.jars import wrong_jars
    from deploy.local.layout import Layout
    from deploy.local.probes import ports_in_use, states
    from deploy.local.supervisor import Supervisor

    layout = Layout.of(settings)
    wrong = wrong_jars(layout)
    there = next(folder for folder in (layout.data, *layout.data.parents) if folder.is_dir())
    free_gb = shutil.disk_usage(there).free / 2**30
    found = {
        "jars": (not wrong, _jars(wrong)),
        "disk": (free_gb > 2, f"{free_gb:.0f} GiB free"),
    }
    try:
        running = Supervisor(layout).running()
        taken = {} if running else ports_in_use(settings)
        found["ports"] = (not taken, f"in use by others: {taken}" if taken else "own stack runs" if running else "free")
    except LiveshelfError as error:
        found["ports"] = (False, str(error))
    for probe, (answers, says) in states(settings):
        found[probe.name] = (
            answers is not False,
            f"{probe.address}: {says or 'does not answer (is the stack up?)'}",
        )
    return found


def _jars(wrong: dict[str, str]) -> str:
    if unknown := [name for name, found in wrong.items() if found == "unknown"]:
        return f"unknown ones, which `liveshelf up` refuses: {', '.join(unknown[:3])}"
    return f"{len(wrong)} missing or wrong; `liveshelf up` fetches them" if wrong else "sums as committed"


def _bundle(settings) -> dict[str, tuple[bool, str]]:  # type: ignore[no-untyped-def]
    from operators.model.model_bundle import ModelBundle
    from operators.model.scorer import Scorer

    try:
        bundle = ModelBundle.load(settings.resolve(settings.bundle.path))
        scorer = Scorer(bundle, settings.scorer)
    except LiveshelfError as error:
        return {"bundle": (False, str(error))}
    return {
        "bundle": (True, f"{bundle.name} {bundle.version}, {len(bundle.vocabulary)} items, golden scores match"),
        "provider": (True, f"{scorer.provider}: {scorer.provider_reason}"),
    }
