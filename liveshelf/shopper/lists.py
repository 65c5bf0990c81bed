"""`liveshelf lists`: shows a user's newest list from the output topic."""

import time

import typer

from liveshelf.terminal.ids import user_id
from liveshelf.terminal.output import JsonFlag, machine, people, table
from operators.settings import load_settings
from operators.time_units import HOUR_MS


def run(
    user: str = user_id(),
    top: int = typer.Option(10, help="Number of items.", min=1),
    json: bool = JsonFlag,
) -> None:
    """Shows a user's newest list, and whether it has expired: readers then show the popular list.

    Exit 1 if the topic has no list of the user.

    Example: liveshelf lists c17850
    """
    import msgspec

    from pipelines.topics.list_reader import newest_list

    newest = newest_list(load_settings().kafka, user)
    if newest is None:
        people.print(f"no list of {user}: publish an event of this user, or look at `liveshelf status`")
        raise typer.Exit(1)
    now_ms = time.time() * 1000
    expired = now_ms >= newest.expires_at
    if json:
        machine(msgspec.to_builtins(newest) | {"expired": expired})
        return
    delay_ms = newest.generated_at - newest.event_time
    people.print(
        f"{user}: version {newest.version}, from {newest.source} ({newest.model.name} {newest.model.version}), "
        f"made {delay_ms} ms after its event"
    )
    if expired:
        hours = (now_ms - newest.expires_at) / HOUR_MS
        people.print(f"expired {hours:.1f} h ago: readers show the popular list in its place")
    rows = [(i.rank, i.item_id, f"{i.score:.2f}", i.reason.kind, i.reason.item_id or "") for i in newest.items[:top]]
    table("", ("rank", "item", "score", "because", "of"), rows)
