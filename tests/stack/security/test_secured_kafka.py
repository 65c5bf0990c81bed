"""Every way to be refused by a secure broker, and a broker that is away: within ten seconds one error with its way out,
exit code 1, and no storm of attempts."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from operators.errors import BrokerError
from operators.kafka_io.kafka_clients import new_producer
from operators.kafka_io.read_to_end import read_topic
from operators.records.contracts import CATALOGUE, DEAD_LETTERS, EVENTS, RECOMMENDATIONS
from operators.settings import Settings
from pipelines.topics.list_reader import newest_list
from tests.bad_records import good_event
from tests.running_stack import ROOT, Stack
from tests.stack.security.secured_broker import SECURITY, Refusal, SecuredBroker, running_broker
from tests.tls_server import faulty_port

pytestmark = pytest.mark.slow  # three minutes

SECONDS = 10
THREE_PARTS = r"failed: expected .+; came .+\. Next: .+\."
VERBS = (
    ("submit", "--fresh"),
    ("replay", "{events}"),
    ("lists", "somebody"),
    ("erase", "somebody"),
    ("dead-letters", "list"),
    ("events", "--out", "{out}"),
    ("topics", "create"),
    ("audit", "list"),
)
SHOWS = (("status",), ("doctor",))


@pytest.fixture(scope="module")
def secured(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """Beside the stack, whose Flink cluster `submit` asks: no job may run there, it would be refused for that."""
    if stack.cluster.jobs(stack.settings.job.name):
        stack.liveshelf("stop")
        stack.serving = ("", {})
    with running_broker(tmp_path_factory.mktemp("secured")) as running:
        yield running


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What stands in `VERBS` for files."""
    folder = tmp_path_factory.mktemp("words")
    event = good_event(int(time.time() * 1000), event_id="refused", user_id="refused")
    (folder / "events.jsonl").write_text(json.dumps(event) + "\n")
    return {"events": str(folder / "events.jsonl"), "out": str(folder / "out.jsonl")}


@pytest.fixture(scope="module")
def wrong_password(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    file = tmp_path_factory.mktemp("wrong") / "password"
    file.write_text("not the password\n")
    file.chmod(0o600)
    return {f"{SECURITY}PASSWORD_FILE": str(file)}


def said(secured: SecuredBroker, refused: Refusal, row: str, pattern: str) -> None:
    """The verb failed in time, with one error in three parts that says `pattern`."""
    print(f"| {row} | `{' '.join(refused.words[:2])}` | {refused.seconds - secured.start_up_s:.1f} s |")
    assert refused.code == 1, refused
    assert "Traceback" not in refused.text
    assert len(re.findall(THREE_PARTS, refused.text)) == 1, refused.text
    assert re.search(pattern, refused.text), refused.text
    assert refused.seconds - secured.start_up_s < SECONDS, refused


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_a_wrong_password_is_said_by_every_verb_and_tried_few_times(
    secured: SecuredBroker, words: dict[str, str], wrong_password: dict[str, str], verb: tuple[str, ...]
) -> None:
    before = secured.refused_logins()
    refused = secured.verb(*(word.format(**words) for word in verb), variables=wrong_password | _job(wrong_password))
    said(secured, refused, "wrong password", r"accept the user (admin|job) \(SASL_SSL, SCRAM-SHA-512\).*password_file")
    assert secured.refused_logins() - before <= 2


@pytest.mark.parametrize("verb", SHOWS, ids=lambda verb: verb[0])
def test_status_and_doctor_show_why_the_broker_refuses(
    secured: SecuredBroker, wrong_password: dict[str, str], verb: tuple[str, ...]
) -> None:
    refused = secured.verb(*verb, "--json", variables=wrong_password)
    assert refused.code == 1
    assert "to accept the user admin" in refused.text
    assert refused.seconds - secured.start_up_s < SECONDS


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_a_broker_that_is_away_is_said_by_every_verb(
    secured: SecuredBroker, words: dict[str, str], verb: tuple[str, ...]
) -> None:
    refused = secured.verb(
        *(word.format(**words) for word in verb), variables={"LIVESHELF_KAFKA__BOOTSTRAP": "127.0.0.1:1"}
    )
    said(secured, refused, "broker away", "a broker at 127.0.0.1:1 .*ECONNREFUSED.*liveshelf up")


@pytest.mark.parametrize(
    ("row", "fields", "pattern"),
    [
        ("unknown user", {"USERNAME": "nobody"}, "accept the user nobody"),
        (
            "mechanism not enabled",
            {"MECHANISM": "PLAIN"},
            "to know the mechanism PLAIN.*kafka.security.mechanism",
        ),
        ("SASL without TLS", {"PROTOCOL": "SASL_PLAINTEXT", "CA_FILE": ""}, "another kafka.security.protocol"),
        ("no TLS, no login", {"PROTOCOL": "PLAINTEXT", "plain": "yes"}, "another kafka.security.protocol"),
        ("TLS without login", {"PROTOCOL": "SSL", "login": "none"}, "another kafka.security.protocol"),
    ],
)
def test_a_wrong_setting_is_said_with_the_setting(
    secured: SecuredBroker, row: str, fields: dict[str, str], pattern: str
) -> None:
    refused = secured.verb("lists", "somebody", variables=_explicit(secured, fields))
    said(secured, refused, row, pattern)


@pytest.mark.parametrize(
    ("fault", "pattern"),
    [
        ("expired", "certificate has expired.*renew"),
        ("wrong CA", "self-signed certificate in certificate chain.*kafka.security.ca_file"),
        ("wrong name", "address mismatch.*kafka.bootstrap"),
        ("no TLS", "does it speak TLS there"),
    ],
)
@pytest.mark.parametrize("verb", [("lists", "somebody"), ("submit", "--fresh")], ids=lambda verb: verb[0])
def test_a_certificate_that_is_not_trusted_is_said(
    secured: SecuredBroker, tmp_path: Path, verb: tuple[str, ...], fault: str, pattern: str
) -> None:
    with faulty_port(fault, secured.authority, tmp_path) as port:
        refused = secured.verb(*verb, variables=_explicit(secured, {}) | {"LIVESHELF_KAFKA__BOOTSTRAP": port.address})
        said(secured, refused, f"{fault} certificate", pattern)
        assert port.connections <= (15 if fault == "no TLS" else 1)


def test_each_user_has_its_own_rights_and_no_others(secured: SecuredBroker) -> None:
    shop, storefront, monitor = (_kafka(secured, name) for name in ("shop", "storefront", "monitor"))
    _write(shop, EVENTS)
    _write(shop, CATALOGUE)
    _write(storefront, EVENTS)
    assert newest_list(storefront, "u") is None
    rows = {
        "shop reads lists": lambda: newest_list(shop, "u"),
        "shop reads events": lambda: list(read_topic(shop, EVENTS)),
        "storefront writes lists": lambda: _write(storefront, RECOMMENDATIONS),
        "storefront writes dead letters": lambda: _write(storefront, DEAD_LETTERS),
        "monitor writes events": lambda: _write(monitor, EVENTS),
        "monitor writes the catalogue": lambda: _write(monitor, CATALOGUE),
    }
    for row, attempt in rows.items():
        begun = time.monotonic()
        with pytest.raises(BrokerError) as refused:
            attempt()
        print(f"| {row} | | {time.monotonic() - begun:.1f} s | {refused.value}")
        assert re.search("right|may see", str(refused.value)), refused.value
        assert time.monotonic() - begun < SECONDS


@pytest.mark.parametrize(
    ("part", "verb", "pattern"),
    [
        ("storefront", ("topics", "create"), "user storefront to have the right"),
        ("shop", ("lists", "somebody"), "shop"),
        ("monitor", ("replay", "{events}"), "user monitor to have the right"),
    ],
)
def test_a_verb_of_a_user_without_the_right_says_so(
    secured: SecuredBroker, words: dict[str, str], part: str, verb: tuple[str, ...], pattern: str
) -> None:
    refused = secured.verb(*(word.format(**words) for word in verb), variables=secured.user(part))
    said(secured, refused, f"{part} without the right", pattern)


def test_a_job_without_its_rights_is_not_submitted(stack: Stack, secured: SecuredBroker) -> None:
    before = {one["jid"] for one in stack.cluster.jobs()}
    refused = secured.verb("submit", "--fresh", variables=_job(secured.user("storefront")))
    said(secured, refused, "job without the right", "job's user storefront to have the right .*kafka-acls")
    other = secured.verb("submit", "--fresh", variables={"LIVESHELF_JOB__NAME": "another"})
    said(secured, other, "job's group without the right", "(?i)group")
    assert {one["jid"] for one in stack.cluster.jobs()} == before, "nothing restarts in Flink"


@pytest.mark.parametrize(
    ("module", "ready"),
    [("storefront", "/readyz"), ("pipelines.monitor.stream_monitor", "")],
    ids=["storefront", "monitor"],
)
def test_a_part_that_lives_on_says_it_once_and_tries_seldom(
    secured: SecuredBroker, wrong_password: dict[str, str], tmp_path: Path, module: str, ready: str
) -> None:
    """The storefront still serves the lists that it has: a password that is changed must not empty the shop."""
    import os

    import httpx

    ports = {"LIVESHELF_STOREFRONT__PORT": "18001", "LIVESHELF_MONITOR__PORT": "19281"}
    before, log = secured.refused_logins(), tmp_path / "log"
    environment = os.environ | secured.variables | wrong_password | ports
    with log.open("w") as out:
        process = subprocess.Popen([sys.executable, "-m", module], stdout=out, stderr=out, cwd=ROOT, env=environment)
    try:
        begun = time.monotonic()
        while "to accept the user" not in log.read_text() and time.monotonic() - begun < 60:
            time.sleep(0.2)
        print(f"| wrong password | {module} | {time.monotonic() - begun - secured.start_up_s:.1f} s |")
        assert re.search(r"expected .*accept the user admin.*; came .*\. Next: .*", log.read_text())
        time.sleep(10)
        lines = log.read_text().splitlines()
        if ready:
            answer = httpx.get(f"http://127.0.0.1:18001{ready}")
            assert answer.status_code == 503
            assert "user admin" not in answer.text
            assert httpx.get("http://127.0.0.1:18001/v1/users/somebody/recommendations").status_code == 200
    finally:
        process.kill()
        process.wait()
    assert secured.refused_logins() - before <= 6, "two tables, each at once and after 15 s"
    assert len(lines) <= 12, lines


def test_a_part_whose_files_are_missing_does_not_start(secured: SecuredBroker, tmp_path: Path) -> None:
    import os

    environment = os.environ | secured.variables | {f"{SECURITY}PASSWORD_FILE": "/no/such/file"}
    for module in ("storefront", "pipelines.monitor.stream_monitor"):
        command = [sys.executable, "-m", module]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=60)
        assert done.returncode == 1
        assert "kafka.security.password_file" in done.stdout
        assert "Traceback" not in done.stdout + done.stderr


def _job(variables: dict[str, str]) -> dict[str, str]:
    """The same variables for what the job has."""
    job = {name.replace(SECURITY, f"{SECURITY}JOB__"): value for name, value in variables.items()}
    return {f"{SECURITY}JOB__USERNAME": "job"} | job


def _explicit(secured: SecuredBroker, fields: dict[str, str]) -> dict[str, str]:
    """The administrator's access as variables, with some of them changed: without `secure.toml`."""
    security = secured.settings.kafka.security
    given = {
        "PROTOCOL": security.protocol,
        "MECHANISM": security.mechanism,
        "USERNAME": security.username,
        "PASSWORD_FILE": security.password_file,
        "CA_FILE": security.ca_file,
    }
    if "plain" in fields:
        given = {}
    if "login" in fields:
        given = {"CA_FILE": given["CA_FILE"]}
    chosen = given | {name: value for name, value in fields.items() if name.isupper()}
    elsewhere = {"LIVESHELF_STACK__DATA_DIR": str(secured.layout.data / "elsewhere")}
    return {f"{SECURITY}{name}": value for name, value in chosen.items() if value} | elsewhere


def _kafka(secured: SecuredBroker, user: str):
    settings: Settings = secured.settings
    file = str(secured.layout.secrets / f"{user}.password")
    security = settings.kafka.security.model_copy(update={"username": user, "password_file": file})
    return settings.kafka.model_copy(update={"security": security})


def _write(kafka, topic: str) -> None:
    from operators.kafka_io.kafka_clients import broker_errors

    producer = new_producer(kafka, max_block_ms=5000)
    try:
        with broker_errors(kafka):
            producer.send(topic, key=b"refused", value=b"{}").get(10)
    finally:
        producer.close(timeout=5)
