"""The local broker: one KRaft node from the jars."""

import subprocess
import uuid
from base64 import urlsafe_b64encode

from deploy.local.kafka.broker_metrics import agent_option, prepare_broker_metrics
from deploy.local.kafka.secure_broker import PROTOCOLS, is_secure, scram_arguments, secured
from deploy.local.layout import HERE, Layout, tool
from operators.errors import StackError
from operators.settings import Settings


def properties(settings: Settings, layout: Layout) -> dict[str, object]:
    """server.properties of a single node on loopback; the table `[stack.broker]` wins."""
    bootstrap, controller = settings.kafka.bootstrap, f"127.0.0.1:{settings.stack.controller_port}"
    one_node = {
        f"{topic}.{name}": 1
        for topic in ("transaction.state.log", "share.coordinator.state.topic")
        for name in ("replication.factor", "min.isr")
    }
    own: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.bootstrap.servers": controller,
        "listeners": f"CLIENTS://{bootstrap},CONTROLLER://{controller}",
        "advertised.listeners": f"CLIENTS://{bootstrap}",
        "inter.broker.listener.name": "CLIENTS",
        "controller.listener.names": "CONTROLLER",
        PROTOCOLS: "CONTROLLER:PLAINTEXT,CLIENTS:PLAINTEXT",
        "log.dirs": layout.kafka / "data",
        "auto.create.topics.enable": "false",
        "num.partitions": settings.kafka.partitions,
        "offsets.topic.num.partitions": 4,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.num.partitions": 4,
        "group.initial.rebalance.delay.ms": 0,
        "log.cleaner.dedupe.buffer.size": 33_554_432,
    }
    return one_node | own | settings.stack.broker


def java_command(settings: Settings, layout: Layout) -> list[str]:
    """`java` with heap, log4j and class path, up to the name of the class to run."""
    return [
        tool("java", "openjdk-17-jre-headless"),
        f"-Xmx{settings.stack.broker_heap_mb}m",
        f"-Xms{settings.stack.broker_heap_mb // 2}m",
        "-XX:+UseG1GC",
        f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}",
        "-cp",
        f"{layout.jars}/*",
    ]


def server_properties(layout: Layout) -> str:
    """Path of the broker's configuration."""
    return str(layout.kafka / "server.properties")


def run_command(settings: Settings, layout: Layout) -> list[str]:
    """How to run the broker, with its metrics."""
    java, *options = java_command(settings, layout)
    return [java, agent_option(settings, layout), *options, "kafka.Kafka", server_properties(layout)]


def prepare_broker(settings: Settings, layout: Layout) -> None:
    """Writes the configuration and formats the log folder the first time."""
    options = properties(settings, layout)
    if is_secure(layout):
        won = {name: value for name, value in settings.stack.broker.items() if name != PROTOCOLS}
        options = secured(options, layout) | won
    lines = (f"{name}={value}" for name, value in options.items())
    (layout.kafka / "server.properties").write_text("\n".join(lines) + "\n")
    prepare_broker_metrics(layout)
    if (layout.kafka / "data" / "meta.properties").is_file():
        return
    cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    command = [*java_command(settings, layout), "kafka.tools.StorageTool", "format"]
    # by "=": one id in 64 begins with a dash
    command += [f"--cluster-id={cluster_id}", "-c", server_properties(layout), "--standalone"]
    arguments = scram_arguments(settings, layout) if is_secure(layout) else None
    if arguments is not None:
        command.append(f"@{arguments}")
    try:
        process = subprocess.run(command, capture_output=True, text=True)
    finally:
        if arguments is not None:
            arguments.unlink()
    if process.returncode:
        raise StackError(
            "Kafka's StorageTool to format the log folder", process.stderr[-800:].strip(), "see the text above"
        )
