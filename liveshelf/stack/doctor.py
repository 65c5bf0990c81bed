"""`liveshelf doctor`: checks this machine and shows why the scorer uses its provider."""

import typer

from liveshelf.terminal.output import JsonFlag, machine, table
from operators.settings import load_settings


def run(json: bool = JsonFlag) -> None:
    """Checks programs, jars, ports, disk, the broker's address and the scorer's provider. Exit 1 if a check fails.

    Example: liveshelf doctor
    """
    from deploy.local.machine_checks import Check, machine_checks
    from storefront.watching.exposure import opened

    settings = load_settings()
    checks = machine_checks(settings) | {"storefront's host": Check(True, opened(settings.storefront))}
    if json:
        machine({name: {"ok": check.ok, "says": check.text} for name, check in checks.items()})
    else:
        rows = [(name, "ok" if check.ok else "FAIL", check.text) for name, check in checks.items()]
        table("", ("check", "", "says"), rows)
    raise typer.Exit(0 if all(check.ok for check in checks.values()) else 1)
