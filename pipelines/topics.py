"""The topics as SQL tables: sources give raw bytes with their Kafka metadata, sinks take bytes, headers and tombstones."""

from operators import contracts
from operators.settings import EventSettings, KafkaSettings

# the broker's clock in whole seconds: TIMESTAMP_LTZ itself surprises in Python
_BROKER_TIME = (
    "TIMESTAMPDIFF(SECOND, TIMESTAMP '1970-01-01 00:00:00', CAST(`broker_time` AS TIMESTAMP(3))) * CAST(1000 AS BIGINT)"
)
# a record without a key is routed by the user_id of its body; what is too large is not even parsed
_USER = """CASE WHEN `key` IS NOT NULL THEN CAST(`key` AS STRING)
     WHEN `value` IS NULL OR CHAR_LENGTH(CAST(`value` AS STRING)) > {max_bytes} THEN ''
     ELSE COALESCE(JSON_VALUE(CAST(`value` AS STRING), '$.user_id'), '') END"""
# only where the text of a key is not its bytes do the bytes travel along; empty bytes say that there was no key
_RAW_KEY = "CASE WHEN `key` IS NULL THEN CAST('' AS BYTES) WHEN CAST(CAST(`key` AS STRING) AS BYTES) = `key` THEN CAST(NULL AS BYTES) ELSE `key` END"

INPUT_FIELDS = ("user", "value", "topic", "partition", "offset", "broker_ms", "raw_key")


def _options(settings: KafkaSettings, **more: str) -> str:
    client = {f"properties.{name}": value for name, value in settings.client.items()}
    options = {
        "connector": "kafka",
        "properties.bootstrap.servers": settings.bootstrap,
        "properties.reconnect.backoff.max.ms": "1000",
        "key.format": "raw",
        "key.fields": "key",
        "value.format": "raw",
        "value.fields-include": "EXCEPT_KEY",
    }
    pairs = options | client | {name.replace("__", "-").replace("_", "."): value for name, value in more.items()}
    return ", ".join(f"'{name}' = '{_quoted(value)}'" for name, value in pairs.items())


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def source_ddl(table: str, topic: str, settings: KafkaSettings, group: str) -> str:
    """A topic as raw bytes with partition, offset and broker time."""
    options = _options(
        settings,
        topic=topic,
        properties_group_id=group,
        scan_startup_mode="group-offsets",
        properties_auto_offset_reset="earliest",
        properties_fetch_max_wait_ms="100",
    )
    return f"""CREATE TEMPORARY TABLE {table} (
  `key` BYTES,
  `value` BYTES,
  `topic` STRING METADATA VIRTUAL,
  `partition` INT METADATA VIRTUAL,
  `offset` BIGINT METADATA VIRTUAL,
  `broker_time` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL
) WITH ({options})"""


def input_query(table: str, limits: EventSettings) -> str:
    """The records of a source table as (user, record): PyFlink keys a stream by the first field of a pair."""
    user = _USER.format(max_bytes=limits.max_bytes)
    fields = ", ".join(f"`{name}`" for name in INPUT_FIELDS)
    return (
        f"SELECT `user` AS `by`, ROW({fields}) AS `record` FROM ("
        f"SELECT {user} AS `user`, `value`, `topic`, `partition`, `offset`, {_BROKER_TIME} AS `broker_ms`, "
        f"{_RAW_KEY} AS `raw_key` FROM {table})"
    )


def lists_ddl(table: str, settings: KafkaSettings) -> str:
    """The lists, keyed by user; a NULL value is a tombstone."""
    options = _options(
        settings,
        topic=contracts.RECOMMENDATIONS,
        properties_linger_ms="0",
        properties_acks="all",
    )
    return _sink(table, options)


def dead_letters_ddl(table: str, settings: KafkaSettings) -> str:
    """Refused records: key and value as they came, the reason in the headers."""
    options = _options(
        settings,
        topic=contracts.DEAD_LETTERS,
        properties_max_request_size=str(2 * 1024 * 1024),
        properties_acks="all",
    )
    return _sink(table, options)


def _sink(table: str, options: str) -> str:
    columns = "`key` BYTES, `value` BYTES, `headers` MAP<STRING, BYTES> METADATA"
    return f"CREATE TEMPORARY TABLE {table} ({columns}) WITH ({options})"
