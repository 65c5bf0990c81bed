"""`liveshelf erase`: asks the job to erase a user and waits for the receipt."""

import typer

from liveshelf.terminal.ids import user_id
from liveshelf.terminal.output import JsonFlag, machine, people
from operators.settings import load_settings

WAIT_SECONDS = 30.0


def run(user: str = user_id(), json: bool = JsonFlag) -> None:
    """Publishes an erasure and waits for the job's receipt. Exit 1 without a receipt in 30 s, or if the job had no data of that user.

    Example: liveshelf erase c17850
    """
    from pipelines.provenance.audit_log import record_act
    from pipelines.topics.erasing import ask_to_erase

    settings = load_settings()
    with people.status("waiting for the receipt"):
        erasure_id, receipt = ask_to_erase(settings.kafka, user, WAIT_SECONDS)
    record_act(settings.kafka, "erase", erasure_id=erasure_id, receipt=receipt is not None)
    had_data = receipt.found if receipt else None
    if json:
        machine({"erasure_id": erasure_id, "receipt": receipt is not None, "found": had_data})
    if receipt is None:
        people.print(f"asked, but no receipt came in {WAIT_SECONDS:.0f} s: the job does not run, or is behind")
        people.print("The request stays on the topic for 31 days; the job does it when it reads it.")
    elif had_data:
        people.print("erased: state and list are gone")
    else:
        people.print("the job held nothing of that user_id: is it spelt as in the events?")
    people.print("Elsewhere there may be more: docs/events.md says what is kept where, and until when.")
    raise typer.Exit(0 if had_data else 1)
