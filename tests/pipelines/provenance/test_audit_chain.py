import msgspec
import pytest

from pipelines.provenance.audit_chain import GENESIS, AuditRecord, first_break


def chain(*verbs: str) -> list[AuditRecord]:
    records: list[AuditRecord] = []
    for number, verb in enumerate(verbs):
        act = AuditRecord(at=number, who="anna@shop", verb=verb, what={"job": "1"})
        records.append(act.sealed(records[-1].hash if records else GENESIS))
    return records


def test_a_whole_chain_has_no_break_and_survives_its_json() -> None:
    log = chain("submit", "stop", "erase")
    assert first_break(log) is None
    decoded = [msgspec.json.decode(msgspec.json.encode(act), type=AuditRecord) for act in log]
    assert first_break(decoded) is None
    assert first_break([]) is None


@pytest.mark.parametrize("field", [{"who": "mallory"}, {"verb": "submit"}, {"at": 9}, {"what": {"job": "2"}}])
def test_a_changed_record_is_found(field: dict[str, object]) -> None:
    log = chain("submit", "stop", "erase")
    log[1] = msgspec.structs.replace(log[1], **field)
    assert first_break(log) == (1, "its content is not that of its hash")


def test_a_changed_record_with_a_new_hash_breaks_the_next() -> None:
    log = chain("submit", "stop", "erase")
    log[1] = msgspec.structs.replace(log[1], who="mallory").sealed(log[0].hash)
    assert first_break(log)[0] == 2


def test_removed_put_in_between_or_exchanged() -> None:
    log = chain("submit", "stop", "erase")
    assert first_break([log[0], log[2]])[0] == 1
    assert first_break(log[1:])[0] == 0
    assert first_break([log[0], chain("erase")[0], *log[1:]])[0] == 1
    assert first_break([log[1], log[0], log[2]])[0] == 0
