"""`[kafka]`: the addresses of the broker and the options of its clients."""

import re
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from operators.configuration.kafka_security import SecuritySettings
from operators.configuration.settings_section import Section
from operators.errors import SettingsError

# a verb gives up after this time; a service tries again
CONNECT_MS = 6000
SECURITY_NAMES = ("security.", "sasl.", "ssl.")
SECRET_NAMES = ("password", "jaas.config", "secret", "ssl.keystore.key")
_ADDRESS = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.%\w]+\]):(\d{1,5})")


class ClientTables(BaseModel):
    """Options that pass through: names of this table to every client, `java` to Flink's and `python` to kafka-python's.

    Names are Kafka's own, with dots; for kafka-python they may have underscores.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, str] = Field(init=False)

    java: dict[str, str] = {}
    python: dict[str, str] = {}

    @property
    def every(self) -> dict[str, str]:
        """The names for every client."""
        return self.__pydantic_extra__ or {}

    def for_java(self) -> dict[str, str]:
        """The options of Flink's clients."""
        return self.every | self.java

    def for_python(self) -> dict[str, Any]:
        """The options of kafka-python's clients, under its names."""
        return {name.replace(".", "_"): _typed(value) for name, value in (self.every | self.python).items()}

    @model_validator(mode="after")
    def _hold_no_secrets(self) -> Self:
        for name in self.every:
            if name.replace("_", ".").startswith(SECURITY_NAMES):
                raise SettingsError(
                    "names that every client knows in [kafka.client]",
                    f"`{name}`, whose values differ from client to client",
                    "set [kafka.security]; what that has no field for goes to [kafka.client.java] and [kafka.client.python]",
                )
        for table, options in (("java", self.java), ("python", self.python)):
            for name, value in options.items():
                if name.replace("_", ".").endswith(SECRET_NAMES) and not _holds_no_secret(value):
                    raise SettingsError(
                        f"no secret in [kafka.client.{table}]: it would be shown wherever settings are",
                        f"one at `{name}`",
                        "set kafka.security.password_file (docs/security.md), or name a file by ${provider:path:key}",
                    )
        return self


def checked_brokers(setting: object) -> object:
    """`kafka.bootstrap` as addresses separated by commas only. Raises `SettingsError` for an address that no client takes."""
    if not isinstance(setting, str | list):
        return setting  # pydantic names the type that it expects
    addresses = [str(address).strip() for address in (setting.split(",") if isinstance(setting, str) else setting)]
    for address in addresses or [""]:
        match = _ADDRESS.fullmatch(address)
        if match is None or not 0 < int(match[2]) < 65_536:
            port = f", as in {address}:9092" if re.fullmatch(r"[\w.-]+", address) else ", as in 127.0.0.1:9092"
            raise SettingsError(
                "kafka.bootstrap as host:port, several parted by commas", repr(address), f"name host and port{port}"
            )
    return ",".join(addresses)


class KafkaSettings(Section):
    """How to reach the broker."""

    bootstrap: Annotated[str, BeforeValidator(checked_brokers)] = "127.0.0.1:9092"
    partitions: int = Field(4, ge=1)
    replication: int = Field(1, ge=1)
    security: SecuritySettings = SecuritySettings()
    client: ClientTables = ClientTables()

    @model_validator(mode="after")
    def _name_a_mechanism(self) -> Self:
        java, python = self.client.java, self.client.for_python()
        if (
            self.security.sasl
            and not self.security.mechanism
            and not ("sasl.mechanism" in java and "sasl_mechanism" in python)
        ):
            raise SettingsError(
                f"a SASL mechanism for {self.security.protocol}",
                "none",
                "set kafka.security.mechanism; other mechanisms than PLAIN and SCRAM: sasl.mechanism in [kafka.client.java] "
                "and in [kafka.client.python]",
            )
        return self

    @property
    def brokers(self) -> list[tuple[str, int]]:
        """Host and port of each address."""
        parts = (address.rpartition(":") for address in self.bootstrap.split(","))
        return [(host.strip("[]"), int(port)) for host, _, port in parts]

    def of_job(self) -> "KafkaSettings":
        """The same with the access that the job on the cluster has."""
        return self.model_copy(update={"security": self.security.of_job()})

    def client_options(self) -> dict[str, Any]:
        """Keyword arguments of any kafka-python client (see `operators.kafka_io.kafka_clients`, which makes them).

        The back-offs are Java's: kafka-python's own ceiling of 30 s keeps a client away for a minute
        after a broker's restart. Raises `SettingsError`.
        """
        own = {
            "bootstrap_servers": self.bootstrap.split(","),
            "bootstrap_timeout_ms": CONNECT_MS,
            "reconnect_backoff_ms": 50,
            "reconnect_backoff_max_ms": 1000,
        }
        return own | self.security.python_options() | self.client.for_python()

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

    def java_options(self) -> dict[str, str]:
        """Options of Flink's Kafka clients under Kafka's names. Raises `SettingsError`."""
        own = {"bootstrap.servers": self.bootstrap, "reconnect.backoff.max.ms": "1000"}
        secured, passed = self.security.java_options(), self.client.for_java()
        if "config.providers" in secured and "config.providers" in passed:
            passed = passed | {"config.providers": f"{secured['config.providers']},{passed['config.providers']}"}
        return own | secured | passed


def _typed(value: str) -> Any:
    if value in ("true", "false"):
        return value == "true"
    return int(value) if value.lstrip("-").isdigit() else value


def _holds_no_secret(value: str) -> bool:
    """A reference, or a JAAS line (of Kerberos, say) that has none."""
    return value.startswith("${") or ("required" in value and "password=" not in value.replace('password="${', ""))
