"""All settings, their types and defaults. `liveshelf.toml` in the checkout lists them with comments.

Precedence: command-line flags, then `LIVESHELF_SECTION__NAME` variables, then the TOML file, then these defaults.
"""

import os
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as UnreadableSetting

from operators.configuration import secure_stack
from operators.configuration.kafka_settings import KafkaSettings
from operators.configuration.model_settings import BundleSettings, GuardSettings, TrainerSettings
from operators.configuration.page_origin import checked_origin
from operators.configuration.rest_address import checked_url, without_password
from operators.configuration.settings_file import read_settings_file
from operators.configuration.settings_section import Port, Section
from operators.configuration.settings_variables import FILE, nearest, refuse_unknown_variables
from operators.configuration.shop_settings import (
    DemandSettings,
    EventSettings,
    ExperimentSettings,
    ExplorationSettings,
    FeedbackSettings,
    GateLimits,
    ListSettings,
    SearchSettings,
)
from operators.configuration.socket_path import checked_socket_path
from operators.errors import SettingsError

FILE_NAME = "liveshelf.toml"
REPLACED = {  # removed settings: an error says what came in their place
    "scorer.shared_dir": "scorer.socket",
    "scorer.promise_idle_ms": "a wake-up by the scorer thread",
    "scorer.promise_busy_ms": "a wake-up by the scorer thread",
}
HIDDEN = ("kafka.security", "kafka.client")  # no error shows their values


class JobSettings(Section):
    """The Flink job."""

    name: str = "liveshelf"
    rest_url: Annotated[str, AfterValidator(checked_url)] = "http://127.0.0.1:8081"
    rest_ca_file: str = ""
    rest_cert_file: str = ""
    python: str = ""
    parallelism: int = Field(1, ge=1)
    max_parallelism: int = Field(720, ge=1)
    delivery: Literal["at-least-once", "exactly-once"] = "at-least-once"
    checkpoint_interval_ms: int = Field(5000, ge=100)
    transaction_timeout_ms: int = Field(900_000, ge=1000)
    state_ttl_days: float = Field(180, gt=0)
    recent_users: int = Field(100_000, ge=1)
    batch_entries: int = Field(256, ge=1, le=10_000)
    batch_linger_ms: int = Field(2, ge=0, le=1000)
    metrics_host: str = "127.0.0.1"
    metrics_port: Port = 9260
    metrics_targets_dir: str = ""
    on_lost_events: Literal["fail", "skip"] = "fail"
    tables_dir: str = ""
    state_digests: bool = False


class ScorerSettings(Section):
    """ONNX Runtime and the micro-batcher."""

    provider: Literal["auto", "cuda", "tensorrt", "cpu"] = "auto"
    require_gpu: bool = False
    threads: int = Field(1, ge=1)
    max_batch: int = Field(128, ge=1)
    max_waiting: int = Field(1024, ge=1)
    deadline_ms: int = Field(500, ge=1)
    kill_after_ms: int = Field(10_000, ge=100)
    metrics_port: Port = 9300
    socket: Annotated[str, AfterValidator(checked_socket_path)] = ""
    engines_dir: str = ""
    cache_mb: int = Field(256, ge=0)
    cache_check_every: int = Field(1000, ge=0)
    retry_after_ms: int = Field(2000, ge=1)


class StorefrontSettings(Section):
    """The reader, and how much one client may ask of it."""

    host: str = "127.0.0.1"
    port: Port = 8000
    hosts: list[Annotated[str, Field(pattern=r"^(\*\.)?[A-Za-z0-9.-]+$")]] = Field(default_factory=list)
    impressions: Literal["events", "reads"] = "events"
    cors_origins: list[Annotated[str, AfterValidator(checked_origin)]] = Field(default_factory=list)
    trusted_proxies: list[str] = Field(default_factory=list)
    requests_per_s: float = Field(0, ge=0)
    max_body_bytes: int = Field(1_048_576, ge=1)
    max_batch: int = Field(1000, ge=1)
    max_head_bytes: int = Field(16_384, ge=1024)
    max_connections: int = Field(1000, ge=1)
    max_streams: int = Field(500, ge=0)
    max_streams_per_address: int = Field(100, ge=0)
    max_streams_per_user: int = Field(10, ge=0)
    request_timeout_s: float = Field(15, gt=0)
    idle_timeout_s: int = Field(15, ge=1)
    send_timeout_s: float = Field(20, gt=0)
    prometheus_url: str = "http://127.0.0.1:9090"


class MonitorSettings(Section):
    """The watcher of the topics: freshness as a shopper has it, and data quality."""

    port: Port = 9280
    partitions: int = Field(1, ge=1)
    max_records_per_s: int = Field(300, ge=1)
    fresh_within_s: float = Field(1.0, gt=0)


class TracingSettings(Section):
    """OpenTelemetry (extra `tracing`)."""

    otlp_endpoint: str = ""
    max_traces_per_s: float = Field(10, ge=0)


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
    controller_port: Port = 9093
    jobmanager_rpc_port: Port = 6123
    prometheus_port: Port = 9090
    alertmanager_port: Port = 9095
    flink_metrics_port: Port = 9250
    broker_metrics_port: Port = 9270
    zookeeper_port: Port = 2181
    broker_heap_mb: int = 512
    taskmanager_memory_mb: int = 2048
    broker: dict[str, str] = Field(default_factory=dict)


class Settings(BaseSettings):
    """The whole tree. `flink` passes straight through to the job's configuration under Flink's own names."""

    model_config = SettingsConfigDict(env_prefix="LIVESHELF_", env_nested_delimiter="__", extra="forbid", frozen=True)

    kafka: KafkaSettings = KafkaSettings()
    job: JobSettings = JobSettings()
    events: EventSettings = EventSettings()
    scorer: ScorerSettings = ScorerSettings()
    lists: ListSettings = ListSettings()
    demand: DemandSettings = DemandSettings()
    exploration: ExplorationSettings = ExplorationSettings()
    feedback: FeedbackSettings = FeedbackSettings()
    experiment: ExperimentSettings = ExperimentSettings()
    bundle: BundleSettings = BundleSettings()
    guard: GuardSettings = GuardSettings()
    gate: GateLimits = GateLimits()
    storefront: StorefrontSettings = StorefrontSettings()
    search: SearchSettings = SearchSettings()
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
        """In this order: flags (init), environment, the access file of `up --secure`, the settings file."""
        tables = read_settings_file(file) if (file := settings_file()) else {}
        secure_stack.refuse_password(tables, str(file))
        local = secure_stack.access(project_root(), [init_settings(), env_settings(), tables])
        stack_access, file_settings = (InitSettingsSource(settings_cls, source) for source in (local, tables))
        return (init_settings, env_settings, stack_access, file_settings)

    @classmethod
    def of_dump(cls, dump: dict[str, Any]) -> "Settings":
        """The settings of a `model_dump`, from no other source: how they reach the TaskManagers."""
        sections: dict[str, Any] = {
            name: field.annotation.model_validate(dump[name])
            for name, field in cls.model_fields.items()
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        }
        return cls.model_construct(None, **sections, flink=dump["flink"])

    def shipped(self) -> dict[str, Any]:
        """The dump that goes to the cluster. It holds the job's own access to Kafka and, unlike other dumps, a password
        from the environment. It leaves out sections that the job does not read and whose addresses may be secret."""
        here_alone = {"alerts": AlertSettings(), "lineage": LineageSettings()}
        dump = self.model_copy(update=here_alone).model_dump()
        security = self.kafka.security.of_job().below(project_root())
        return dump | {"kafka": dump["kafka"] | {"security": security.revealed()}}

    def resolve(self, path: str) -> Path:
        """A path of the settings: absolute, or relative to the project folder."""
        return (project_root() / path).resolve()


def settings_file() -> Path | None:
    """`LIVESHELF_FILE`, or liveshelf.toml in the project folder where there is one.

    Raises `SettingsError` where the variable names no file.
    """
    if named := os.environ.get(FILE):
        if not Path(named).is_file():
            raise SettingsError(f"a settings file in {FILE}", f"no file {named}", f"correct or unset {FILE}")
        return Path(named)
    file = project_root() / FILE_NAME
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
    refuse_unknown_variables(os.environ, {section: _keys(section) for section in Settings.model_fields})
    try:
        settings = Settings(**flags)
    except ValidationError as error:
        raise _refusal(dict(error.errors()[0])) from None  # the error's own text holds the value
    except UnreadableSetting as error:
        fix = "correct the variable: a table is written as JSON"
        raise SettingsError("values that can be read", str(error), fix) from None
    security = settings.kafka.security.below(project_root())
    return settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"security": security})})


def _refusal(first: dict[str, Any]) -> SettingsError:
    """The first of pydantic's errors, without secret values."""
    *tables, name = (str(part) for part in first["loc"] or ("?",))
    key, file = ".".join((*tables, name)), settings_file() or FILE_NAME
    if first["type"] == "extra_forbidden":
        replaced = REPLACED.get(key)
        suggestion = f" ({replaced} replaced it)" if replaced else nearest(name, _keys(*tables))
        return SettingsError(
            "a setting that there is", f"`{key}`", f"correct or remove it in {file} or in the environment{suggestion}"
        )
    came = "a hidden value" if key.startswith(HIDDEN) else without_password(repr(first.get("input")))
    fix = f"correct `{key}` in {file} or in the environment"
    return SettingsError(f"a valid value for `{key}`", f"{came} ({first['msg']})", fix)


def _keys(*tables: str) -> list[str]:
    """The keys of a table."""
    fields: dict[str, Any] = Settings.model_fields
    for table in tables:
        fields = getattr(fields[table].annotation, "model_fields", {}) if table in fields else {}
    return list(fields)
