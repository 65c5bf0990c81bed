"""`liveshelf up`: starts the local stack and returns when every part answers."""

import time

import typer

from operators.settings import load_settings
from pipelines.cli.output import JsonFlag, machine, people


def run(
    secure: bool = typer.Option(
        False, "--secure", help="The broker wants TLS and a login: users, rights and certificates are made."
    ),
    json: bool = JsonFlag,
) -> None:
    """Starts broker, Flink, storefront and Prometheus on 127.0.0.1, and makes the topics.

    Example: liveshelf up
    """
    from deploy.local import prometheus
    from deploy.local.access import grant
    from deploy.local.layout import Layout
    from deploy.local.probes import probes
    from deploy.local.secure_broker import is_secure
    from deploy.local.stack import start_stack, wait_for
    from pipelines.topic_admin import ensure_topics

    settings = load_settings()
    begun = time.monotonic()
    if not start_stack(settings, secure=secure):
        people.print("the stack runs already")
    settings = load_settings()  # with the access that --secure left
    secured = is_secure(layout := Layout.of(settings))
    answers = {}
    with people.status("starting") as spinner:
        for probe in probes(settings):
            spinner.update(f"waiting for {probe.name} at {probe.address}")
            answers[probe.name] = wait_for(probe)
            people.print(f"  {probe.name:<11} {probe.address:<24} {answers[probe.name]}")
            if probe.name == "kafka":
                made = [topic.name for topic in ensure_topics(settings.kafka) if topic.created]
                people.print(f"  {'topics':<11} {len(made)} made" if made else "  topics      as they were")
                if secured:
                    people.print(
                        f"  {'rights':<11} {grant(settings)} granted; passwords: {layout.secrets}", soft_wrap=True
                    )
    if not prometheus.program():
        people.print("  prometheus  not installed, left out (apt-get install prometheus)")
    people.print(f"up in {time.monotonic() - begun:.0f} s; `liveshelf down` stops it")
    if json:
        machine({"up": True, "parts": answers})
