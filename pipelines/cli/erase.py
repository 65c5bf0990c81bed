"""`liveshelf erase`: asks the job to forget a user."""

import time

import typer

from operators.settings import load_settings
from pipelines.cli import audit
from pipelines.cli.output import JsonFlag, machine, people


def run(user: str = typer.Argument(help="user_id."), json: bool = JsonFlag) -> None:
    """Publishes an erasure and waits for the tombstone of the user's list. Exit 1 when it does not come in 30 s.

    Example: liveshelf erase c17850
    """
    import msgspec

    from operators.contracts import ERASURES, Erasure
    from operators.kafka_clients import new_producer
    from pipelines.list_reader import newest_list

    settings = load_settings()
    request = Erasure(user_id=user, requested_at=int(time.time() * 1000), erasure_id=f"cli-{time.time_ns()}")
    producer = new_producer(settings.kafka)
    producer.send(ERASURES, key=user.encode(), value=msgspec.json.encode(request)).get(30)
    producer.close()
    audit.record(settings, "erase", erasure_id=request.erasure_id)
    deadline = time.monotonic() + 30
    while (gone := newest_list(settings.kafka, user) is None) is False and time.monotonic() < deadline:
        time.sleep(0.5)
    if json:
        machine({"erasure_id": request.erasure_id, "list_is_gone": gone})
    people.print("erased: the list is gone" if gone else "asked, but the list is still there: does the job run?")
    raise typer.Exit(0 if gone else 1)
