"""All settings, their types and defaults. `liveshelf.toml` in the checkout lists them with comments.

Precedence: command-line flags, then `LIVESHELF_SECTION__NAME` variables, then the TOML file, then these defaults.
"""

import os
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from operators.errors import SettingsError

FILE_NAME = "liveshelf.toml"


class Section(BaseModel):
    """A table of the TOML file; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class KafkaSettings(Section):
    """How to reach the broker. `client` passes through to every client under Kafka's own (dotted) names."""

    bootstrap: str = "127.0.0.1:9092"
    partitions: int = Field(4, ge=1)
    replication: int = Field(1, ge=1)
    client: dict[str, str] = {}

    def client_options(self) -> dict[str, Any]:
        """Keyword arguments of any kafka-python client.

        The back-offs are Java's: kafka-python's own ceiling of 30 s keeps a client away for a minute
        after a broker's restart (docs/decisions.md).
        """
        own = {
            "bootstrap_servers": self.bootstrap.split(","),
            "reconnect_backoff_ms": 50,
            "reconnect_backoff_max_ms": 1000,
        }
        passed: dict[str, Any] = {k.replace(".", "_"): _typed(v) for k, v in self.client.items()}
        return own | passed

    def consumer_options(self) -> dict[str, Any]:
        """Keyword arguments of a kafka-python consumer without group, which sees committed records only: with lists
        delivered exactly once the others do not count."""
        return self.client_options() | {
            "group_id": None,
            "enable_auto_commit": False,
            "isolation_level": "read_committed",
        }

    def producer_options(self) -> dict[str, Any]:
        """Keyword arguments of a kafka-python producer that loses nothing."""
        return self.client_options() | {"acks": "all", "linger_ms": 2, "delivery_timeout_ms": 120_000}


def _typed(value: str) -> Any:
    if value in ("true", "false"):
        return value == "true"
    return int(value) if value.lstrip("-").isdigit() else value


class JobSettings(Section):
    """The Flink job."""

    name: str = "liveshelf"
    rest_url: str = "http://127.0.0.1:8081"
    parallelism: int = Field(1, ge=1)
    max_parallelism: int = Field(720, ge=1)
    delivery: Literal["at-least-once", "exactly-once"] = "at-least-once"
    checkpoint_interval_ms: int = Field(5000, ge=100)
    state_ttl_days: int = Field(180, ge=1)
    recent_users: int = Field(20_000, ge=1)
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 9260
    metrics_targets_dir: str = ""
    sensors_alternate_s: float = Field(0, ge=0)
    on_lost_events: Literal["fail", "skip"] = "fail"
    tables_dir: str = ""
    state_digests: bool = False


class EventSettings(Section):
    """Limits of an event."""

    max_bytes: int = 16_384
    max_age_days: int = 7
    max_future_minutes: int = 5
    session_gap_minutes: int = 30


class ScorerSettings(Section):
    """ONNX Runtime and the micro-batcher."""

    provider: Literal["auto", "cuda", "tensorrt", "cpu"] = "auto"
    require_gpu: bool = False
    threads: int = Field(1, ge=1)
    max_batch: int = Field(128, ge=1)
    max_waiting: int = Field(1024, ge=1)
    deadline_ms: int = Field(500, ge=1)
    kill_after_ms: int = Field(10_000, ge=100)
    metrics_port: int = 9300
    shared_dir: str = ""
    engines_dir: str = "/tmp/liveshelf-engines"
    promise_idle_ms: int = Field(3, ge=1)
    promise_busy_ms: int = Field(200, ge=1)
    retry_after_ms: int = Field(2000, ge=1)


class ListSettings(Section):
    """What a list looks like."""

    size: int = Field(20, ge=1)
    ttl_hours: int = Field(24, ge=1)
    max_per_category: int = Field(0, ge=0)
    diversity: float = Field(0.0, ge=0, le=1)
    hide_bought: bool = True
    hide_in_basket: bool = True
    fatigue_after: int = Field(5, ge=0)
    catalogue_coverage: float = Field(0.5, ge=0, le=1)


class ExperimentSettings(Section):
    """The running experiment: arms and the share of users of each."""

    name: str = ""
    arms: dict[str, float] = {}


class BundleSettings(Section):
    """Which model bundle is served."""

    path: str = "models/online-retail"


class StorefrontSettings(Section):
    """The reader."""

    host: str = "127.0.0.1"
    port: int = 8000
    prometheus_url: str = "http://127.0.0.1:9090"


class MonitorSettings(Section):
    """The watcher of the topics: freshness as a shopper has it, and data quality."""

    port: int = 9280
    partitions: int = Field(1, ge=1)
    max_records_per_s: int = Field(300, ge=1)
    fresh_within_s: float = Field(1.0, gt=0)


class TrainerSettings(Section):
    """The trainer."""

    metrics_port: int = 9290


class TracingSettings(Section):
    """OpenTelemetry (extra `tracing`)."""

    otlp_endpoint: str = ""


class LineageSettings(Section):
    """OpenLineage events."""

    file: str = ".liveshelf/lineage.jsonl"
    url: str = ""


class AlertSettings(Section):
    """Where the local Alertmanager sends what fires."""

    webhook_url: str = ""


class StackSettings(Section):
    """The local stack."""

    data_dir: str = ".liveshelf"
    jars_dir: str = ".liveshelf/jars"
    taskmanagers: int = Field(2, ge=1)
    controller_port: int = 9093
    jobmanager_rpc_port: int = 6123
    supervisor_port: int = 9001
    prometheus_port: int = 9090
    alertmanager_port: int = 9095
    flink_metrics_port: int = 9250
    broker_metrics_port: int = 9270
    zookeeper_port: int = 2181
    broker_heap_mb: int = 512
    taskmanager_memory_mb: int = 2048
    broker: dict[str, str] = {}


class Settings(BaseSettings):
    """The whole tree. `flink` passes straight through to the job's configuration under Flink's own names."""

    model_config = SettingsConfigDict(env_prefix="LIVESHELF_", env_nested_delimiter="__", extra="forbid", frozen=True)

    kafka: KafkaSettings = KafkaSettings()
    job: JobSettings = JobSettings()
    events: EventSettings = EventSettings()
    scorer: ScorerSettings = ScorerSettings()
    lists: ListSettings = ListSettings()
    experiment: ExperimentSettings = ExperimentSettings()
    bundle: BundleSettings = BundleSettings()
    storefront: StorefrontSettings = StorefrontSettings()
    monitor: MonitorSettings = MonitorSettings()
    trainer: TrainerSettings = TrainerSettings()
    tracing: TracingSettings = TracingSettings()
    lineage: LineageSettings = LineageSettings()
    alerts: AlertSettings = AlertSettings()
    stack: StackSettings = StackSettings()
    flink: dict[str, str] = {}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags (init), environment, file: in this order."""
        file = settings_file()
        sources: tuple[PydanticBaseSettingsSource, ...] = (init_settings, env_settings)
        return (*sources, TomlConfigSettingsSource(settings_cls, file)) if file else sources

    @classmethod
    def of_dump(cls, dump: dict[str, Any]) -> "Settings":
        """The settings of a `model_dump`, from no other source: how they reach the TaskManagers."""
        sections: dict[str, Any] = {
            name: field.annotation.model_validate(dump[name])
            for name, field in cls.model_fields.items()
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        }
        return cls.model_construct(None, **sections, flink=dump["flink"])

    def resolve(self, path: str) -> Path:
        """A path of the settings: absolute, or relative to the project folder."""
        return (project_root() / path).resolve()


def settings_file() -> Path | None:
    """`LIVESHELF_FILE`, or liveshelf.toml in the project folder."""
    named = os.environ.get("LIVESHELF_FILE")
    file = Path(named) if named else project_root() / FILE_NAME
    return file if file.is_file() else None


@cache
def project_root() -> Path:
    """The nearest folder upwards with a liveshelf.toml; else the checkout this code lies in."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / FILE_NAME).is_file():
            return folder
    return Path(__file__).resolve().parent.parent


def load_settings(**flags: Any) -> Settings:
    """Reads all sources; raises `SettingsError` that names the wrong key."""
    _refuse_unknown_variables()
    try:
        return Settings(**flags)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise SettingsError(
            f"a valid value for `{key}`",
            f"{first.get('input')!r} ({first['msg']})",
            f"correct `{key}` in {settings_file() or FILE_NAME} or in the environment",
        ) from error


def _refuse_unknown_variables() -> None:
    known = {f"LIVESHELF_{name.upper()}" for name in Settings.model_fields} | {"LIVESHELF_FILE"}
    for name in os.environ:
        if name.startswith("LIVESHELF_") and name.split("__")[0] not in known:
            raise SettingsError(
                "a LIVESHELF_SECTION__NAME variable of a known section",
                name,
                f"unset {name} or correct it; sections: {', '.join(Settings.model_fields)}",
            )
