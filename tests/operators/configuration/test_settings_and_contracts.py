import json
import tomllib

import jsonschema
import msgspec
import pytest

from liveshelf.pages.json_schemas import json_schemas
from operators.configuration.shop_settings import ListSettings
from operators.errors import LiveshelfError, SettingsError
from operators.records import contracts
from operators.records.contracts import encode_record
from operators.records.topic_specs import TOPICS
from operators.settings import Settings, load_settings
from tests.builders import event
from tests.places import ROOT


@pytest.fixture(autouse=True)
def no_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("LIVESHELF_"):
            monkeypatch.delenv(name)


def test_the_commented_file_holds_every_default() -> None:
    in_file = tomllib.loads((ROOT / "liveshelf.toml").read_text())
    defaults = Settings.model_construct().model_dump()
    assert in_file.keys() == defaults.keys()
    for section, values in defaults.items():
        assert in_file[section] == values, section


def test_the_environment_wins_over_the_file_and_flags_over_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVESHELF_KAFKA__BOOTSTRAP", "broker:1")
    assert load_settings().kafka.bootstrap == "broker:1"
    assert load_settings(kafka={"bootstrap": "flag:1"}).kafka.bootstrap == "flag:1"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LIVESHELF_KAFKA__BOOTSTRP", "x", "kafka.bootstrp"),
        ("LIVESHELF_KAFKAA__BOOTSTRAP", "x", "LIVESHELF_KAFKAA__BOOTSTRAP"),
        ("LIVESHELF_SCORER__THREADS", "many", "scorer.threads"),
        ("LIVESHELF_SCORER__PROVIDER", "tpu", "scorer.provider"),
        ("LIVESHELF_STOREFRONT__PORT", "99999", "storefront.port"),
        ("LIVESHELF_EVENTS__MAX_BYTES", "-1", "events.max_bytes"),
        ("LIVESHELF_EVENTS__SESSION_GAP_MINUTES", "0", "events.session_gap_minutes"),
        ("LIVESHELF_EVENTS__RATING_SCALE", "[1, 1e999]", "events.rating_scale"),
    ],
)
def test_a_wrong_key_or_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=said):
        load_settings()


def test_settings_reach_the_taskmanager_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(flink={"a.b": "c"}, lists={"size": 7})
    monkeypatch.setenv("LIVESHELF_LISTS__SIZE", "3")
    assert Settings.of_dump(json.loads(json.dumps(settings.model_dump()))) == settings


def test_kafka_client_settings_pass_through_under_their_own_names() -> None:
    settings = load_settings(
        kafka={"client": {"request.timeout.ms": "5000", "java": {"a.b": "1"}, "python": {"c.d": "2"}}}
    )
    options, java = settings.kafka.client_options(), settings.kafka.java_options()
    assert (options["request_timeout_ms"], options["c_d"], "a_b" in options) == (5000, 2, False)
    assert (java["request.timeout.ms"], java["a.b"], "c.d" in java) == ("5000", "1", False)
    assert options["reconnect_backoff_max_ms"] == 1000


def test_the_schemas_in_the_docs_are_those_of_the_contracts() -> None:
    for name, schema in json_schemas().items():
        assert json.loads((ROOT / "docs" / "schemas" / f"{name}.json").read_text()) == schema, "run: make schemas"


def test_a_valid_event_passes_its_schema_and_a_bad_one_does_not() -> None:
    schema = json_schemas()["event"]
    good = json.loads(encode_record(event()))
    jsonschema.validate(good, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(good | {"event_type": "teleport"}, schema)


def test_every_topic_has_a_spec_and_users_topics_their_policies() -> None:
    named = {value for name, value in vars(contracts).items() if isinstance(value, str) and value.startswith("shop.")}
    assert named == {spec.name for spec in TOPICS}
    policies = {spec.name: spec.config["cleanup.policy"] for spec in TOPICS}
    assert policies[contracts.CATALOGUE] == "compact", "nobody publishes a product each month"
    assert policies[contracts.RECOMMENDATIONS] == policies[contracts.ERASURES] == "compact,delete"
    kept = {spec.name: int(spec.config["retention.ms"]) for spec in TOPICS if "retention.ms" in spec.config}
    longest_list = max(one.le for one in ListSettings.model_fields["ttl_hours"].metadata if hasattr(one, "le"))
    assert kept[contracts.RECOMMENDATIONS] > longest_list * 3_600_000, "no list goes before it has expired"
    assert kept[contracts.ERASURES] > kept[contracts.EVENTS], "who reads events again reads the erasures too"
    assert policies[contracts.EVENTS] == "delete"
    unpacked = {spec.name for spec in TOPICS if spec.config.get("compression.type") == "uncompressed"}
    assert unpacked == {contracts.EVENTS, contracts.CATALOGUE, contracts.ERASURES}, "a shop writes them"


def test_every_error_says_what_was_expected_what_came_and_what_to_do() -> None:
    text = str(LiveshelfError("a", "b", "c"))
    assert text == "expected a; came b. Next: c."
    assert not LiveshelfError("a", "b", "c").retriable
    assert LiveshelfError("a", "b", "c", retriable=True).retriable


def test_a_list_reads_back_from_its_schema_types() -> None:
    made = contracts.RecommendationList(
        recommendation_id="r",
        user_id="u",
        version=1,
        event_time=2,
        event_id=None,
        generated_at=3,
        model=contracts.Model("m", "1"),
        source="model",
        items=[contracts.ListItem("i", 0.5, 1, contracts.Reason("viewed", "j"))],
        expires_at=4,
    )
    jsonschema.validate(json.loads(msgspec.json.encode(made)), json_schemas()["list"])
