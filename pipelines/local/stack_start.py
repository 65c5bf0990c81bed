"""Starts the local stack, creates the topics and waits until each part answers."""

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
    """A part that answers (`is_part`), or another finished step."""

    name: str
    address: str
    answer: str
    is_part: bool = True


def start(settings: Settings, *, secure: bool, on_wait: Callable[[Probe], object]) -> Iterator[Step]:
    """Starts the missing parts, waits for each, creates the topics and, on a secure broker, grants the rights.

    Yields each finished step; calls `on_wait` before it waits for a part. Raises `StackError`.
    """
    if not start_stack(settings, secure=secure):
        yield Step("stack", "", "runs already", is_part=False)
    settings = load_settings()  # with the credentials of a secure stack
    secured = is_secure(layout := Layout.of(settings))
    for probe in probes(settings):
        on_wait(probe)
        yield Step(probe.name, str(probe.address), wait_for(probe))
        if probe.name == "kafka":
            created = [topic.name for topic in ensure_topics(settings.kafka) if topic.created]
            yield Step("topics", "", f"{len(created)} made" if created else "as they were", is_part=False)
            if secured:
                yield Step("rights", "", f"{grant(settings)} granted; passwords: {layout.secrets}", is_part=False)
