"""`liveshelf dead-letters`: what was refused, and why."""

from collections import Counter

import typer

from operators.contracts import DEAD_LETTERS, HEADER_PREFIX
from operators.settings import load_settings
from pipelines.cli.output import JsonFlag, machine, people, table

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_letters(last: int = typer.Option(20, help="So many, newest last."), json: bool = JsonFlag) -> None:
    """Counts dead letters by reason and shows the newest.

    Example: liveshelf dead-letters list --last 5
    """
    from kafka import KafkaConsumer, TopicPartition

    settings = load_settings()
    consumer = KafkaConsumer(**settings.kafka.consumer_options())
    partitions = [TopicPartition(DEAD_LETTERS, n) for n in sorted(consumer.partitions_for_topic(DEAD_LETTERS) or ())]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends, found = consumer.end_offsets(partitions), []
    while any(consumer.position(p) < ends[p] for p in partitions):
        for records in consumer.poll(timeout_ms=500).values():
            found += records
    consumer.close()
    found.sort(key=lambda record: record.timestamp)
    letters = [{n.removeprefix(HEADER_PREFIX): v.decode() for n, v in record.headers} for record in found]
    counts = Counter(letter["exception.class.name"] for letter in letters)
    if json:
        machine({"count": len(letters), "reasons": counts, "newest": letters[-last:]})
        return
    table("by reason", ("reason", "count"), counts.most_common())
    rows = [(m["topic"], m["partition"], m["offset"], m["exception.message"]) for m in letters[-last:]]
    table("newest", ("topic", "partition", "offset", "what"), rows)
    people.print(f"{len(letters)} dead letters")
