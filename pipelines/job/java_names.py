"""Checks the names of settings for Flink's Kafka clients: Java only logs a warning for a mistyped name and ignores it."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from operators.configuration.kafka_security import SHADED
from operators.configuration.kafka_settings import KafkaSettings
from operators.errors import SettingsError

CONFIGS = ("clients.consumer.ConsumerConfig", "clients.producer.ProducerConfig", "clients.admin.AdminClientConfig")
LIKENESS = 0.85  # plug-ins have names of their own, which are like none of Kafka's


def known_names(jvm: Any) -> set[str]:
    """All setting names of Flink's Kafka clients; `jvm`: of a Java gateway with the connector on its class path."""
    names: set[str] = set()
    for config in CONFIGS:
        java_class = jvm
        for part in f"{SHADED}.{config}".split("."):
            java_class = getattr(java_class, part)
        names |= set(java_class.configNames())
    return names


def refuse_mistyped(settings: KafkaSettings, kafka_names: Iterable[str]) -> None:
    """Raises `SettingsError` for a name that is nearly one of Kafka's."""
    names = set(kafka_names)
    for name in settings.client.for_java():
        if name not in names and (meant := get_close_matches(name, names, 1, LIKENESS)):
            raise SettingsError(
                "names that Flink's Kafka clients know in [kafka.client] and [kafka.client.java]",
                f"`{name}`",
                f"write `{meant[0]}`",
            )
