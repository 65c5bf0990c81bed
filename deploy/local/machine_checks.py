"""The checks of `liveshelf doctor`: programs, jars, disk and ports of this machine, and the parts of the stack."""

import shutil
import sys
from typing import NamedTuple

from deploy.local.jars import wrong_jars
from deploy.local.java import java_versions
from deploy.local.layout import Layout
from deploy.local.probes import ports_in_use, states
from deploy.local.supervisor import Supervisor
from operators.errors import LiveshelfError
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer
from operators.settings import Settings

NEEDED = {"java": "openjdk-17-jre-headless", "mvn": "maven"}
OPTIONAL = {"prometheus": "prometheus", "chromium": "chromium"}
FREE_GB = 2


class Check(NamedTuple):
    """The result of one check, with a sentence for the user."""

    ok: bool
    text: str


def machine_checks(settings: Settings) -> dict[str, Check]:
    """All checks by name: programs, jars, disk, ports, parts that answer, the bundle and its provider."""
    layout = Layout.of(settings)
    checks = {"python": Check(sys.version_info[:2] == (3, 11), sys.version.split()[0])}
    for program, package in NEEDED.items():
        checks[program] = Check(bool(path := shutil.which(program)), path or f"apt-get install {package}")
    for program, package in OPTIONAL.items():
        checks[program] = Check(True, shutil.which(program) or f"optional, left out (apt-get install {package})")
    checks |= {"java version": _java(), "jars": _jars(layout), "disk": _disk(layout), "ports": _ports(settings, layout)}
    for probe, (answers, text) in states(settings):
        answer = text or "does not answer (is the stack up?)"
        checks[probe.name] = Check(answers is not False, f"{probe.address}: {answer}")
    return checks | _bundle(settings)


def _java() -> Check:
    try:
        return Check(True, ", ".join(f"{program}: {version}" for program, version in java_versions().items()))
    except LiveshelfError as error:
        return Check(False, str(error))


def _jars(layout: Layout) -> Check:
    wrong = wrong_jars(layout)
    if unknown := [name for name, problem in wrong.items() if problem == "unknown"]:
        return Check(False, f"unknown ones, which `liveshelf up` refuses: {', '.join(unknown[:3])}")
    if wrong:
        return Check(False, f"{len(wrong)} missing or wrong; `liveshelf up` fetches them")
    return Check(True, "sums as committed")


def _disk(layout: Layout) -> Check:
    existing = next(folder for folder in (layout.data, *layout.data.parents) if folder.is_dir())
    free_gb = shutil.disk_usage(existing).free / 2**30
    return Check(free_gb > FREE_GB, f"{free_gb:.0f} GiB free")


def _ports(settings: Settings, layout: Layout) -> Check:
    try:
        if Supervisor(layout).running():
            return Check(True, "own stack runs")
        taken = ports_in_use(settings)
    except LiveshelfError as error:
        return Check(False, str(error))
    return Check(not taken, f"in use by others: {taken}" if taken else "free")


def _bundle(settings: Settings) -> dict[str, Check]:
    try:
        bundle = ModelBundle.load(settings.resolve(settings.bundle.path), settings.bundle.required_keys)
        scorer = Scorer(bundle, settings.scorer)
    except LiveshelfError as error:
        return {"bundle": Check(False, str(error))}
    items = f"{bundle.name} {bundle.version}, {len(bundle.vocabulary)} items, golden scores match"
    return {"bundle": Check(True, items), "provider": Check(True, f"{scorer.provider}: {scorer.provider_reason}")}
