"""A replay on the broker: letters of the topic or of a file, put back and noted in the audit log."""

import time
from contextlib import closing
from pathlib import Path

from operators.errors import EventsFileError
from operators.records.record_repairs import Repairs
from operators.settings import Settings
from pipelines.dead_letters.dead_letters import Choice, letters_of_file, read_letters
from pipelines.dead_letters.letter_replay import Judge, Replay, replay
from pipelines.dead_letters.replay_ledger import KafkaLedger, read_memory
from pipelines.provenance.audit_log import record_act


def run_replay(
    settings: Settings, file: Path | None, choice: Choice, repairs: Repairs, *, limit: int | None, dry_run: bool
) -> tuple[Replay, str | None]:
    """Puts back at most `limit` of the letters that `choice` takes, of a file of `write_letters` or (None) of the topic.

    Returns what was done and the id on the receipts; a dry run puts nothing back and has no id. What was put back is in
    the audit log, also where the run fails. Raises `BrokerError` or `EventsFileError`.
    """
    if file and not file.is_file():
        raise EventsFileError("a file of `liveshelf dead-letters export`", f"no file {file}", "name an existing file")
    letters = letters_of_file(file) if file else read_letters(settings.kafka, choice.since_ms)
    done, judge = Replay(), Judge(settings.events, repairs)
    if dry_run:
        replay(letters, choice.takes, judge, read_memory(settings.kafka), _now_ms, limit=limit, done=done)
        return done, None
    with closing(KafkaLedger(settings.kafka)) as ledger:
        try:
            replay(letters, choice.takes, judge, ledger, _now_ms, limit=limit, done=done)
        finally:
            if done.put_back:
                what = {"put_back": done.put_back, "repaired": dict(done.repaired), "refused": dict(done.refused)}
                record_act(settings.kafka, "dead-letters replay", replay_id=ledger.replay_id, **what)
        return done, ledger.replay_id


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
