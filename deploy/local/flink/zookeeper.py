"""ZooKeeper of the local stack: it keeps who leads and which jobs run, so that a JobManager that dies is replaced.

One small server, from the classes that Flink's own jar carries.
"""

from deploy.local.layout import Layout, tool
from operators.settings import Settings

SERVER = "org.apache.flink.shaded.zookeeper3.org.apache.zookeeper.server.ZooKeeperServerMain"
SESSION_MS = 4000  # a dead JobManager leads for so long


def prepare_zookeeper(settings: Settings, layout: Layout) -> None:
    """Writes zoo.cfg."""
    options = {
        "dataDir": layout.zookeeper,
        "clientPortAddress": "127.0.0.1",
        "clientPort": settings.stack.zookeeper_port,
        "tickTime": 500,
        "admin.enableServer": "false",
        "autopurge.purgeInterval": 1,
    }
    lines = (f"{name}={value}" for name, value in options.items())
    (layout.zookeeper / "zoo.cfg").write_text("\n".join(lines) + "\n")


def zookeeper_command(layout: Layout) -> list[str]:
    """How to run it."""
    java = tool("java", "openjdk-17-jre-headless")
    log4j = f"-Dlog4j.configurationFile={layout.flink_home}/conf/log4j-console.properties"
    class_path = f"{layout.flink_home}/lib/*"
    file = f"-Dlog.file={layout.logs}/zookeeper-server.log"  # without it one is made in the working folder
    return [
        java,
        "-Xmx64m",
        "-XX:+UseSerialGC",
        log4j,
        file,
        "-cp",
        class_path,
        SERVER,
        str(layout.zookeeper / "zoo.cfg"),
    ]


def high_availability(settings: Settings, layout: Layout) -> dict[str, object]:
    """Flink's options that make use of it."""
    return {
        "high-availability.type": "zookeeper",
        "high-availability.zookeeper.quorum": f"127.0.0.1:{settings.stack.zookeeper_port}",
        "high-availability.zookeeper.path.root": "/liveshelf",
        "high-availability.zookeeper.client.session-timeout": f"{SESSION_MS} ms",
        # by the alias: Flink's store of blobs makes %20 of a blank, and a folder of that name beside ours
        "high-availability.storageDir": f"file://{layout.alias}/{layout.high_availability.name}",
        "high-availability.jobmanager.port": settings.stack.jobmanager_rpc_port,
    }
