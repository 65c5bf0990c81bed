"""The stack on this machine, from nothing to a broker with its topics and every part answering."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from deploy.local.kafka.access import grant
from deploy.local.kafka.secure_broker import is_secure
from deploy.local.layout import Layout
from deploy.local.probes import Probe, probes
from deploy.local.stack import start_stack, wait_for
from operators.settings import Settings, load_settings
from pipelines.topics.topic_admin import ensure_topics


class Step(NamedTuple):
    """A part that answers now, or a thing that was made on the way."""

    name: str
    address: str
    answer: str
    is_part: bool = True


def start(settings: Settings, *, secure: bool, on_wait: Callable[[Probe], object]) -> Iterator[Step]:
    """Starts the parts that do not run, waits for each, makes the topics and, on a secure broker, grants the rights.

    Yields each step when it is done; `on_wait` hears of a part before it is waited for. Raises `StackError`.
    """
    if not start_stack(settings, secure=secure):
        yield Step("stack", "", "runs already", is_part=False)
    settings = load_settings()  # with the access that `secure` left
    secured = is_secure(layout := Layout.of(settings))
    for probe in probes(settings):
        on_wait(probe)
        yield Step(probe.name, str(probe.address), wait_for(probe))
        if probe.name == "kafka":
            made = [topic.name for topic in ensure_topics(settings.kafka) if topic.created]
            yield Step("topics", "", f"{len(made)} made" if made else "as they were", is_part=False)
            if secured:
                yield Step("rights", "", f"{grant(settings)} granted; passwords: {layout.secrets}", is_part=False)
