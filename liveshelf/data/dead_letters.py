"""`liveshelf dead-letters`: what was refused and why; into a file, and back to where it came from."""

import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from liveshelf.terminal.numbers import MOST_SHOWN
from liveshelf.terminal.out_files import check_out
from liveshelf.terminal.output import JsonFlag, machine, pairs, people, table
from operators.errors import BadRecord, EventsFileError
from operators.records.contracts import CATALOGUE, EVENTS, LETTER_MESSAGE, REASONS
from operators.records.time_units import DAY_MS, HOUR_MS
from operators.settings import Settings, load_settings

if TYPE_CHECKING:
    from pipelines.dead_letters.dead_letters import Choice
    from pipelines.dead_letters.letter_replay import Judge, Replay

app = typer.Typer(no_args_is_help=True)
SHOWN = ("topic", "partition", "offset", LETTER_MESSAGE)
AGO_MS = {"m": 60_000, "h": HOUR_MS, "d": DAY_MS}
ReasonOption = typer.Option([], "--reason", help="Only of this reason; may be given several times.")
SinceOption = typer.Option(None, help="Only letters from then on: 2h, 3d or 45m ago, or ISO 8601 (UTC).")
UntilOption = typer.Option(None, help="Only letters from before then, written as for --since.")
TopicOption = typer.Option([], "--topic", help="Only records of this topic; may be given several times.")


@app.command("list")
def list_letters(
    last: int = typer.Option(20, help="So many, newest last.", min=1, max=MOST_SHOWN),
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

    found = read_dead_letters(load_settings().kafka, last, _choice(reason, since, until, topic))
    if json:
        machine({"count": found.count, "reasons": found.reasons, "newest": found.newest})
        return
    table("by reason", ("reason", "count"), found.reasons.most_common())
    rows = [[headers.get(name, "-") for name in SHOWN] for headers in found.newest]
    table("newest", ("topic", "partition", "offset", "what"), rows)
    people.print(f"{found.count} dead letters")


@app.command()
def export(
    out: Path = typer.Option(..., help="File of JSON lines."),
    reason: list[str] = ReasonOption,
    since: str = SinceOption,
    until: str = UntilOption,
    topic: list[str] = TopicOption,
    limit: int = typer.Option(None, help="At most so many.", min=1),
    json: bool = JsonFlag,
) -> None:
    """Writes letters into a file that can be repaired by hand: `value` is the record, `key` its key.

    Example: liveshelf dead-letters export --reason unknown_event_type --out letters.jsonl
    """
    from pipelines.dead_letters.dead_letters import read_letters, write_letters

    choice = _choice(reason, since, until, topic)
    check_out(out, "empty file", lambda _: False)  # an earlier export may have been repaired by hand
    with people.status("reading the topic"):
        written = write_letters(read_letters(load_settings().kafka, choice.since_ms), choice.takes, out, limit)
    if json:
        machine({"letters": written, "file": str(out)})
    people.print(f"{written:,} letters in {out}")
    people.print(f"Repair `key` and `value`, then: liveshelf dead-letters replay --from {out} --dry-run")


@app.command()
def replay(
    fix: str = typer.Option("", help="Repairs, with commas between them, or `all`: `liveshelf dead-letters fixes`."),
    rename: list[str] = typer.Option([], help="OLD=NEW: the field NEW stands in OLD; may be given several times."),
    event_type: list[str] = typer.Option([], help="OLD=NEW: the event_type NEW is written OLD; the same."),
    source: Path = typer.Option(None, "--from", help="A file of `dead-letters export`, repaired by hand."),
    reason: list[str] = ReasonOption,
    since: str = SinceOption,
    until: str = UntilOption,
    topic: list[str] = typer.Option([EVENTS], "--topic", help="Records of this topic; may be given several times."),
    limit: int = typer.Option(None, help="Put back at most so many.", min=1),
    dry_run: bool = typer.Option(False, help="Say what would be done."),
    json: bool = JsonFlag,
) -> None:
    """Puts refused records back, each once however often this runs. Exit 1 where the job would refuse some again.

    Example: liveshelf dead-letters replay --reason key_mismatch --fix key --dry-run
    """
    from operators.records.record_repairs import ALL, FIXES, Repairs
    from pipelines.dead_letters.letter_replay import TOPICS, Judge, Replay

    names = frozenset(filter(None, fix.split(",")))
    _refuse_unknown("--fix", names, ("all", *FIXES))
    if {"day-first", "month-first"} <= names:
        raise typer.BadParameter("--fix: expected day-first or month-first; came both")
    if "all" in names:
        names |= ALL
    if CATALOGUE in topic:
        raise typer.BadParameter("--topic: publish the product again; an old record put back could replace a newer one")
    _refuse_unknown("--topic", topic, TOPICS)
    repairs = Repairs(names, _renames("--rename", rename), _renames("--event-type", event_type))
    if source and not source.is_file():
        raise EventsFileError("a file of `liveshelf dead-letters export`", f"no file {source}", "name an existing file")
    settings, choice, done = load_settings(), _choice(reason, since, until, topic), Replay()
    judge = Judge(settings.events, repairs)
    with people.status("reading dead letters"):
        replay_id = _replay(settings, source, choice, judge, limit, done, dry_run)
    answer = _answer(done, replay_id, dry_run)
    if json:
        machine(answer | {"refused_letters": done.refused_letters})
    else:
        pairs({name.replace("_", " "): value for name, value in answer.items() if not isinstance(value, dict | None)})
        table("repaired", ("repair", "records"), done.repaired.most_common())
        table("the job would refuse again", ("reason", "records"), done.refused.most_common())
        table("of these", ("record", "reason", "came"), done.refused_letters)
    people.print(_next_step(done, dry_run))
    raise typer.Exit(1 if done.refused else 0)


@app.command()
def fixes() -> None:
    """Shows the repairs that `replay --fix` knows.

    Example: liveshelf dead-letters fixes
    """
    from operators.records.record_repairs import FIXES

    table("", ("fix", "what it does"), [*FIXES.items()])


def _replay(
    settings: Settings,
    source: Path | None,
    choice: "Choice",
    judge: "Judge",
    limit: int | None,
    done: "Replay",
    dry: bool,
) -> str | None:
    """The id on the receipts; None of a dry run. What was put back is in the audit log, also where the run failed."""
    from contextlib import closing

    from pipelines.dead_letters.dead_letters import letters_of_file, read_letters
    from pipelines.dead_letters.letter_replay import replay
    from pipelines.dead_letters.replay_ledger import KafkaLedger, read_memory
    from pipelines.provenance.audit_log import record_act

    def clock_ms() -> int:
        return time.time_ns() // 1_000_000

    letters = letters_of_file(source) if source else read_letters(settings.kafka, choice.since_ms)
    if dry:
        replay(letters, choice.takes, judge, read_memory(settings.kafka), clock_ms, limit=limit, done=done)
        return None
    with closing(KafkaLedger(settings.kafka)) as ledger:
        try:
            replay(letters, choice.takes, judge, ledger, clock_ms, limit=limit, done=done)
        finally:
            if done.put_back:
                what = {"put_back": done.put_back, "repaired": dict(done.repaired), "refused": dict(done.refused)}
                record_act(settings.kafka, "dead-letters replay", replay_id=ledger.replay_id, **what)
        return ledger.replay_id


def _answer(done: "Replay", replay_id: str | None, dry_run: bool) -> dict[str, Any]:
    return {
        "read": done.read,
        "chosen": done.chosen,
        "done_before": done.done_before,
        "put_back": done.put_back,
        "repaired": done.repaired,
        "refused_again": done.refused,
        "dry_run": dry_run,
        "replay_id": replay_id,
    }


def _next_step(done: "Replay", dry_run: bool) -> str:
    if not done.chosen:
        return "no letter fits: liveshelf dead-letters list shows reasons, topics and times"
    if dry_run:
        return "nothing was put back: run it without --dry-run"
    if done.refused:
        return "what would be refused again stays: choose a --fix, or export, repair by hand and replay --from FILE"
    return "all are put back: liveshelf dead-letters list --since 5m shows whether the job refused any"


def _choice(reasons: Iterable[str], since: str | None, until: str | None, topics: Iterable[str]) -> "Choice":
    from pipelines.dead_letters.dead_letters import OTHER, Choice

    _refuse_unknown("--reason", reasons, (*REASONS, OTHER))
    return Choice(frozenset(reasons), frozenset(topics), _moment("--since", since), _moment("--until", until))


def _refuse_unknown(option: str, given: Iterable[str], known: Iterable[str]) -> None:
    if unknown := sorted(set(given) - set(known)):
        raise typer.BadParameter(f"{option}: expected {', '.join(known)}; came {unknown[0]!r}")


def _renames(option: str, given: list[str]) -> dict[str, str]:
    renames = dict[str, str]()
    for one in given:
        old, _, new = one.partition("=")
        if not (old and new):
            raise typer.BadParameter(f"{option}: expected OLD=NEW; came {one!r}")
        renames[old] = new
    return renames


def _moment(option: str, text: str | None) -> int | None:
    """Epoch ms."""
    from operators.records.written_values import read_time

    if text is None:
        return None
    if ago := re.fullmatch(r"(\d{1,6})([mhd])", text):
        return time.time_ns() // 1_000_000 - int(ago[1]) * AGO_MS[ago[2]]
    try:
        return read_time(text)
    except BadRecord:
        raise typer.BadParameter(
            f"{option}: expected 45m, 2h, 3d or a time like 2026-11-27T03:00; came {text!r}"
        ) from None
