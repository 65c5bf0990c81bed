"""`liveshelf dead-letters`: shows refused records, exports them, and puts repaired ones back on their topic."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from liveshelf.data.letter_options import (
    ReasonOption,
    SinceOption,
    TopicOption,
    UntilOption,
    choice_of,
    refuse_unknown,
    repairs_of,
)
from liveshelf.terminal.numbers import MAX_SHOWN
from liveshelf.terminal.out_files import check_out
from liveshelf.terminal.output import JsonFlag, machine, pairs, people, table
from operators.records.contracts import CATALOGUE, EVENTS, LETTER_MESSAGE
from operators.settings import load_settings

if TYPE_CHECKING:
    from pipelines.dead_letters.letter_replay import Replay

app = typer.Typer(no_args_is_help=True)
SHOWN = ("topic", "partition", "offset", LETTER_MESSAGE)


@app.command("list")
def list_letters(
    last: int = typer.Option(20, help="Number of letters, newest last.", min=1, max=MAX_SHOWN),
    reason: list[str] = ReasonOption,
    since: str = SinceOption,
    until: str = UntilOption,
    topic: list[str] = TopicOption,
    json: bool = JsonFlag,
) -> None:
    """Counts dead letters by reason and shows the newest.

    Example: liveshelf dead-letters list --since 2h --last 5
    """
    from pipelines.dead_letters.dead_letters import read_dead_letters

    letters = read_dead_letters(load_settings().kafka, last, choice_of(reason, since, until, topic))
    if json:
        machine({"count": letters.count, "reasons": letters.reasons, "newest": letters.newest})
        return
    table("by reason", ("reason", "count"), letters.reasons.most_common())
    rows = [[headers.get(name, "-") for name in SHOWN] for headers in letters.newest]
    table("newest", ("topic", "partition", "offset", "what"), rows)
    people.print(f"{letters.count} dead letters")


@app.command()
def export(
    out: Path = typer.Option(..., help="File of JSON lines."),
    reason: list[str] = ReasonOption,
    since: str = SinceOption,
    until: str = UntilOption,
    topic: list[str] = TopicOption,
    limit: int = typer.Option(None, help="Maximum number of letters.", min=1),
    json: bool = JsonFlag,
) -> None:
    """Writes letters into a file for repair by hand: `value` is the record, `key` its key.

    Example: liveshelf dead-letters export --reason unknown_event_type --out letters.jsonl
    """
    from pipelines.dead_letters.dead_letters import read_letters, write_letters

    choice = choice_of(reason, since, until, topic)
    check_out(out, "empty file", lambda _: False)  # an earlier export may have been repaired by hand
    with people.status("reading the topic"):
        letter_count = write_letters(read_letters(load_settings().kafka, choice.since_ms), choice.takes, out, limit)
    if json:
        machine({"letters": letter_count, "file": str(out)})
    people.print(f"{letter_count:,} letters in {out}")
    people.print(f"Repair `key` and `value`, then: liveshelf dead-letters replay --from {out} --dry-run")


@app.command()
def replay(
    fix: str = typer.Option("", help="Repairs, separated by commas, or `all`: `liveshelf dead-letters fixes`."),
    rename: list[str] = typer.Option([], help="OLD=NEW: renames the field OLD to NEW; may be given several times."),
    event_type: list[str] = typer.Option([], help="OLD=NEW: changes the event_type OLD to NEW; the same."),
    source: Path = typer.Option(None, "--from", help="A file of `dead-letters export`, repaired by hand."),
    reason: list[str] = ReasonOption,
    since: str = SinceOption,
    until: str = UntilOption,
    topic: list[str] = typer.Option([EVENTS], "--topic", help="Records of this topic; may be given several times."),
    limit: int = typer.Option(None, help="Maximum number of records to put back.", min=1),
    dry_run: bool = typer.Option(False, help="Report what the replay would do, and publish nothing."),
    json: bool = JsonFlag,
) -> None:
    """Puts refused records back, each once however often this runs. Exit 1 if the job would refuse some again.

    Example: liveshelf dead-letters replay --reason key_mismatch --fix key --dry-run
    """
    from pipelines.dead_letters.letter_replay import TOPICS
    from pipelines.dead_letters.replay_run import run_replay

    repairs = repairs_of(fix, rename, event_type)
    if CATALOGUE in topic:
        raise typer.BadParameter("--topic: publish the product again; an old record put back could replace a newer one")
    refuse_unknown("--topic", topic, TOPICS)
    choice = choice_of(reason, since, until, topic)
    with people.status("reading dead letters"):
        outcome, replay_id = run_replay(load_settings(), source, choice, repairs, limit=limit, dry_run=dry_run)
    answer = _answer(outcome, replay_id, dry_run)
    if json:
        machine(answer | {"refused_letters": outcome.refused_letters})
    else:
        pairs({name.replace("_", " "): value for name, value in answer.items() if not isinstance(value, dict | None)})
        table("repaired", ("repair", "records"), outcome.repaired.most_common())
        table("the job would refuse again", ("reason", "records"), outcome.refused.most_common())
        table("of these", ("record", "reason", "came"), outcome.refused_letters)
    people.print(_next_step(outcome, dry_run))
    raise typer.Exit(1 if outcome.refused else 0)


@app.command()
def fixes() -> None:
    """Shows the repairs that `replay --fix` knows.

    Example: liveshelf dead-letters fixes
    """
    from operators.records.record_repairs import FIXES

    table("", ("fix", "what it does"), [*FIXES.items()])


def _answer(outcome: "Replay", replay_id: str | None, dry_run: bool) -> dict[str, Any]:
    return {
        "read": outcome.read,
        "chosen": outcome.chosen,
        "done_before": outcome.done_before,
        "put_back": outcome.put_back,
        "repaired": outcome.repaired,
        "refused_again": outcome.refused,
        "dry_run": dry_run,
        "replay_id": replay_id,
    }


def _next_step(outcome: "Replay", dry_run: bool) -> str:
    if not outcome.chosen:
        return "no letter fits: liveshelf dead-letters list shows reasons, topics and times"
    if dry_run:
        return "nothing was put back: run it without --dry-run"
    if outcome.refused:
        return "what would be refused again stays: choose a --fix, or export, repair by hand and replay --from FILE"
    return "all are put back: liveshelf dead-letters list --since 5m shows whether the job refused any"
