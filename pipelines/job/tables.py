"""The topics as SQL tables: sources give raw bytes with their Kafka metadata, sinks take bytes, headers and tombstones."""

from operators.configuration.kafka_settings import KafkaSettings
from operators.configuration.shop_settings import EventSettings
from operators.records import contracts
from operators.records.dead_letter import LARGEST
from operators.settings import JobSettings

# the broker's clock as epoch ms: TIMESTAMP_LTZ itself surprises in Python, and no function gives its milliseconds whole
_BROKER_TIME = (
    "TIMESTAMPDIFF(SECOND, TIMESTAMP '1970-01-01 00:00:00', CAST(`broker_time` AS TIMESTAMP(3))) * CAST(1000 AS BIGINT)"
    " + MOD(EXTRACT(MILLISECOND FROM CAST(`broker_time` AS TIMESTAMP(3))), 1000)"
)
# a record without a key, or with an empty one, is routed by the user_id of its body; what is too large is not even parsed
_ROUTED = """CASE WHEN `value` IS NULL OR CHAR_LENGTH(CAST(`value` AS STRING)) > {max_bytes} THEN CAST('' AS BYTES)
     ELSE COALESCE(ENCODE(JSON_VALUE(CAST(`value` AS STRING), '$.user_id'), 'UTF-8'), CAST('' AS BYTES)) END"""
_KEYED = "`key` IS NOT NULL AND DECODE(`key`, 'ISO-8859-1') <> ''"
_USER = f"CASE WHEN {_KEYED} THEN `key` ELSE {_ROUTED} END"

INPUT_FIELDS = ("user", "value", "topic", "partition", "offset", "broker_ms", "keyed")


def connector_options(settings: KafkaSettings, more: dict[str, str]) -> str:
    """What a table of the Kafka connector has in its WITH: raw keys and values, the shop's client settings, and `more`."""
    client = {f"properties.{name}": value for name, value in settings.java_options().items()}
    options = {
        "connector": "kafka",
        "key.format": "raw",
        "key.fields": "key",
        "value.format": "raw",
        "value.fields-include": "EXCEPT_KEY",
    }
    return ", ".join(f"'{name}' = '{_quoted(value)}'" for name, value in (options | client | more).items())


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def source_ddl(table: str, topic: str, settings: KafkaSettings, job: JobSettings) -> str:
    """A topic as raw bytes with partition, offset and broker time.

    Committed records only: what a producer took back (`pipelines.dead_letters.replay_ledger`, or a shop's own) did not happen. Where the
    offset to go on from has passed out of retention, the source fails (`job.on_lost_events`) instead of
    going to the earliest record in silence; `pipelines.submission.starting_offsets` gives a new group its first offsets.
    """
    options = connector_options(
        settings,
        {
            "topic": topic,
            "properties.group.id": job.name,
            "scan.startup.mode": "group-offsets",
            "scan.topic-partition-discovery.interval": "10 s",
            "properties.auto.offset.reset": "none" if job.on_lost_events == "fail" else "earliest",
            "properties.isolation.level": "read_committed",
            "properties.fetch.max.wait.ms": "100",
        },
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
    """The records of a source table as (key, record): PyFlink keys a stream by the first field of a pair.

    The key is text whose characters stand for the bytes of the user's id (`Batch.java` turns it back), and the record
    carries bytes: no text from outside crosses into Python as a string.
    """
    user = _USER.format(max_bytes=limits.max_bytes)
    fields = ", ".join(f"`{name}`" for name in INPUT_FIELDS)
    return (
        f"SELECT DECODE(`user`, 'ISO-8859-1') AS `by`, ROW({fields}) AS `record` FROM ("
        f"SELECT {user} AS `user`, `value`, `topic`, `partition`, `offset`, {_BROKER_TIME} AS `broker_ms`, "
        f"{_KEYED} AS `keyed` FROM {table})"
    )


def lists_ddl(table: str, settings: KafkaSettings, job: JobSettings) -> str:
    """The lists, keyed by user; a NULL value is a tombstone."""
    return _sink(table, settings, job, {"topic": contracts.RECOMMENDATIONS, "properties.linger.ms": "0"})


def dead_letters_ddl(table: str, settings: KafkaSettings, job: JobSettings) -> str:
    """Refused records, key and value as they came and the reason in the headers; and receipts, keyed by their id.

    One sink for two topics: with a third all sinks would be other operators to Flink, and no savepoint from before could
    be restored.
    """
    topics = f"{contracts.DEAD_LETTERS};{contracts.RECEIPTS}"
    more = {"topic": topics, "properties.max.request.size": str(LARGEST)}
    return _sink(table, settings, job, more, ", `topic` STRING NOT NULL METADATA")


def lists_insert(table: str, refreshed: str) -> str:
    """What of the operator's outputs goes to the sink of `lists_ddl`."""
    return f"INSERT INTO {table} SELECT `key`, `value`, `headers` FROM {refreshed} WHERE `kind` = 'list'"


def dead_letters_insert(table: str, refreshed: str) -> str:
    """What of the operator's outputs goes to the sink of `dead_letters_ddl`."""
    topic = f"CASE `kind` WHEN 'receipt' THEN '{contracts.RECEIPTS}' ELSE '{contracts.DEAD_LETTERS}' END"
    return f"INSERT INTO {table} SELECT `key`, `value`, `headers`, {topic} FROM {refreshed} WHERE `kind` <> 'list'"


def _sink(table: str, settings: KafkaSettings, job: JobSettings, more: dict[str, str], columns: str = "") -> str:
    own = {"properties.acks": "all", "sink.delivery-guarantee": job.delivery}
    if job.delivery == "exactly-once":
        own |= {
            "sink.transactional-id-prefix": f"{job.name}-{table}",
            "properties.transaction.timeout.ms": str(job.transaction_timeout_ms),
        }
    all_columns = f"`key` BYTES, `value` BYTES, `headers` MAP<STRING, BYTES> METADATA{columns}"
    return f"CREATE TEMPORARY TABLE {table} ({all_columns}) WITH ({connector_options(settings, own | more)})"
