"""Every verb of the command line, found in the application itself, and words to try each with."""

from collections.abc import Callable, Iterator
from typing import Any

import typer

from liveshelf.main import app

# what follows the verb's name; {…}: a place of `test_every_verb.places`. The exit codes that are meant, with nothing
# there to answer: 1 where something is needed that is away, 2 for words that are wrong
OK, FAILED, USAGE = (0,), (1,), (2,)
WORDS: dict[str, tuple[str, tuple[int, ...]]] = {
    "up": ("", FAILED),
    "down": ("", OK),
    "status": ("", FAILED),
    "logs": ("", OK),
    "doctor": ("", (0, 1)),
    "submit": ("", FAILED),
    "stop": ("", FAILED),
    "resume": ("", FAILED),
    "tidy": ("", FAILED),
    "backup": ("{out}/backups", FAILED),
    "restore": ("{out}/none", FAILED),
    "replay": ("{events}", FAILED),
    "lists": ("u1", FAILED),
    "events": ("--out {out}/events.jsonl", FAILED),
    "validate": ("{events}", OK),
    "import": ("{events} --from csv --out {out}/imported.jsonl", OK),
    "profile": ("--out {out}/profile.html", FAILED),
    "train": ("--events {out}/none.jsonl --out {out}/bundle", FAILED),
    "tune": ("--events {out}/none.jsonl --out {out}/mine.toml", FAILED),
    "evaluate": ("--bundle {bundle} --events {out}/none.jsonl", FAILED),
    "export": ("--bundle {out}/none --out {out}/small --int8", FAILED),
    "erase": ("u1", FAILED),
    "chaos": ("--minutes 2", FAILED),
    "demo": ("--check", FAILED),
    "topics create": ("", FAILED),
    "topics show": ("", OK),
    "bundle show": ("{bundle}", OK),
    "bundle lineage": ("{bundle}", OK),
    "bundle verify": ("{bundle}", OK),
    "models gate": ("{bundle} --events {out}/none.jsonl", FAILED),
    "search evaluate": ("--catalogue {out}/none.jsonl --judgments {out}/none.jsonl", FAILED),
    "search encoder": ("--model {out}/none --out {out}/encoder", FAILED),
    "experiments start": ("{out}/none.toml", FAILED),
    "experiments stop": ("layout", FAILED),
    "experiments list": ("", FAILED),
    "experiments report": ("layout", FAILED),
    "models list": ("", FAILED),
    "models promote": ("{bundle}", FAILED),
    "models split": ("{bundle} --share 0.1", FAILED),
    "models shadow": ("{bundle}", FAILED),
    "models rollback": ("", FAILED),
    "models reset": ("", FAILED),
    "models key": ("{out}/key.pem", OK),
    "models sign": ("{bundle}", FAILED),
    "audit list": ("", FAILED),
    "audit verify": ("", FAILED),
    "dead-letters list": ("", FAILED),
    "dead-letters export": ("--out {out}/letters.jsonl", FAILED),
    "dead-letters replay": ("", FAILED),
    "dead-letters fixes": ("", OK),
    "bench short": ("", FAILED),
    "bench first-minute": ("", FAILED),
    "bench freshness": ("", FAILED),
    "bench idle": ("", FAILED),
    "bench throughput": ("--events 100", FAILED),
    "bench coalesced": ("--events 100", FAILED),
    "bench sustain": ("", FAILED),
    "bench state": ("", FAILED),
    "bench catalogues": ("--items 10", FAILED),
    "bench scale": ("", FAILED),
    "bench storefront": ("", FAILED),
    "bench watching": ("--events 100", FAILED),
    "bench peers": ("--only liveshelf", FAILED),
    "bench against": ("no-such-commit", FAILED),
    "bench scorer": ("--items 0", USAGE),
    "bench train": ("--items 0", USAGE),
    "bench tasks": ("--events {out}/none.jsonl", FAILED),
    "bench seeds": ("--events {out}/none.jsonl", FAILED),
    "bench transfer": ("--encoder {out}/none.npz --events {out}/none.jsonl", FAILED),
    "bench instrumentation": ("--bundle {out}/none", FAILED),
    "bench capacity": ("", OK),
    "bench compare": ("{out}/none.json {out}/none.json", FAILED),
}
# what a broken file of settings does not concern
WITHOUT_SETTINGS = (
    "topics show", "dead-letters fixes", "bundle show", "train", "tune", "evaluate", "export", "bench scorer", "bench train", "bench tasks",
    "bench seeds", "bench transfer", "models key", "search encoder", "bench capacity", "bench compare",
)  # fmt: skip


def verbs(group: typer.Typer = app, before: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    """Each verb with its whole name and its function, as the application has them."""
    for command in group.registered_commands:
        assert command.callback is not None
        yield before + (command.name or command.callback.__name__.replace("_", "-")), command.callback
    for sub in group.registered_groups:
        assert sub.typer_instance is not None
        yield from verbs(sub.typer_instance, f"{before}{sub.name} ")
