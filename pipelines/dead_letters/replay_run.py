"""Replays letters of the topic or of a file, and notes the replay in the audit log."""

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
    """Puts back at most `limit` letters of `choice`, from a file of `write_letters` or (None) from the topic.

    Returns the counts and the id of the receipts; a dry run puts nothing back and has no id. The audit log also has the
    counts of a run that fails. Raises `BrokerError`, `EventsFileError`.
    """
    if file and not file.is_file():
        raise EventsFileError("a file of `liveshelf dead-letters export`", f"no file {file}", "name an existing file")
    letters = letters_of_file(file) if file else read_letters(settings.kafka, choice.since_ms)
    result, judge = Replay(), Judge(settings.events, repairs)
    if dry_run:
        replay(letters, choice.takes, judge, read_memory(settings.kafka), _now_ms, limit=limit, result=result)
        return result, None
    with closing(KafkaLedger(settings.kafka)) as ledger:
        try:
            replay(letters, choice.takes, judge, ledger, _now_ms, limit=limit, result=result)
        finally:
            if result.put_back:
                counts = {
                    "put_back": result.put_back,
                    "repaired": dict(result.repaired),
                    "refused": dict(result.refused),
                }
                record_act(settings.kafka, "dead-letters replay", replay_id=ledger.replay_id, **counts)
        return result, ledger.replay_id


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
