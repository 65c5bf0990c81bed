import socket
import subprocess
import uuid
from pathlib import Path

import pytest
import yaml
from supervisor import datatypes

from deploy.local import broker, flink_home, stack, zookeeper
from deploy.local.jars import expected_sums, wrong_jars
from deploy.local.layout import Layout, tool
from deploy.local.prometheus import scrape_config
from deploy.local.supervisor import Program, programs
from operators.errors import StackError
from operators.settings import Settings


def settings(tmp_path: Path, **sections) -> Settings:
    dump = Settings.model_construct().model_dump()
    dump["stack"] |= {"data_dir": str(tmp_path / "data"), "jars_dir": str(tmp_path / "jars"), "supervisor_port": 1}
    for name, values in sections.items():
        dump[name] |= values
    return Settings.of_dump(dump)


def test_a_port_in_use_is_said_with_the_fix(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StackError, match=f"port {port}") as refused:
            stack.start_stack(settings(tmp_path, kafka={"bootstrap": f"127.0.0.1:{port}"}))
    assert "liveshelf.toml" in str(refused.value)


def test_a_cluster_id_that_begins_with_a_dash_is_no_flag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One in 64 does; as a word of its own Kafka's tool took it for a flag, and the stack did not start."""
    mine, commands = settings(tmp_path), list[list[str]]()
    layout = Layout.of(mine)
    layout.kafka.mkdir(parents=True)
    monkeypatch.setattr(broker.uuid, "uuid4", lambda: uuid.UUID("f8f00c07-d1cd-4eb1-a5d2-468fd3d42a8b"))
    done = subprocess.CompletedProcess([], 0)
    monkeypatch.setattr(broker.subprocess, "run", lambda command, **_: commands.append(command) or done)
    broker.prepare_broker(mine, layout)
    assert "--cluster-id=-PAMB9HNTrGl0kaP09Qqiw" in commands[0]


def test_a_missing_and_a_tampered_jar_are_seen(tmp_path: Path) -> None:
    layout = Layout.of(settings(tmp_path))
    assert set(wrong_jars(layout).values()) == {"missing"}
    layout.jars.mkdir(parents=True)
    name = next(iter(expected_sums()))
    (layout.jars / name).write_bytes(b"tampered")
    assert wrong_jars(layout)[name] not in ("missing", expected_sums()[name])


def test_a_missing_program_is_said_with_its_package() -> None:
    with pytest.raises(StackError, match="apt-get install some-package"):
        tool("no-such-program-anywhere", "some-package")


def test_everything_listens_on_loopback_only(tmp_path: Path) -> None:
    given = settings(tmp_path)
    written = broker.properties(given, Layout.of(given))
    assert written["listeners"] == "CLIENTS://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"
    assert written["auto.create.topics.enable"] == "false"


def test_flinks_configuration_keeps_the_stock_java_options_and_sets_heartbeats(tmp_path: Path) -> None:
    given = settings(tmp_path)
    layout = Layout.of(given)
    (layout.flink_home / "conf").mkdir(parents=True)
    flink_home.write_config(given, layout, flink_home.wheel_home())
    config = yaml.safe_load((layout.flink_home / "conf" / "config.yaml").read_text())
    assert Path(config["io.tmp.dirs"]).is_relative_to(layout.flink_home), (
        "what killed TaskManagers leave goes at the next `up`"
    )
    assert "--add-opens=java.base/java.lang=ALL-UNNAMED" in config["env.java.opts.all"]
    assert (config["heartbeat.interval"], config["heartbeat.timeout"]) == (1000, 5000)
    assert config["taskmanager.numberOfTaskSlots"] == 1


def test_there_is_a_spare_taskmanager_and_each_logs_to_a_file_of_its_own(tmp_path: Path) -> None:
    given = settings(tmp_path)
    managers = [p for p in programs(given, Layout.of(given)) if p.name.startswith("taskmanager")]
    assert len(managers) == 2
    assert len({p.environment["FLINK_IDENT_STRING"] for p in managers}) == 2


def test_purge_keeps_the_jars_that_lie_inside(tmp_path: Path) -> None:
    layout = Layout(tmp_path, tmp_path / "jars")
    for folder in ("jars", "kafka"):
        (tmp_path / folder).mkdir()
    layout.purge()
    assert [entry.name for entry in tmp_path.iterdir()] == ["jars"]


def test_prometheus_is_told_of_every_process(tmp_path: Path) -> None:
    given = settings(tmp_path)
    jobs = {job["job_name"] for job in scrape_config(given, Layout.of(given))["scrape_configs"]}
    assert jobs == {"announced", "flink", "broker", "storefront", "monitor", "prometheus", "alertmanager"}


def test_each_process_of_flink_has_a_metrics_port_of_its_own(tmp_path: Path) -> None:
    given = settings(tmp_path)
    flink = ("jobmanager", "taskmanager")
    found = {p.name: p.command[-1] for p in programs(given, Layout.of(given)) if p.name.startswith(flink)}
    assert found == {
        "jobmanager": "metrics.reporter.prom.port=9250",
        "taskmanager-0": "metrics.reporter.prom.port=9251",
        "taskmanager-1": "metrics.reporter.prom.port=9252",
    }


def test_a_jobmanager_that_dies_is_replaced_because_zookeeper_keeps_its_jobs(tmp_path: Path) -> None:
    given = settings(tmp_path)
    layout = Layout.of(given)
    layout.make()
    zookeeper.prepare_zookeeper(given, layout)
    assert "clientPortAddress=127.0.0.1" in (layout.zookeeper / "zoo.cfg").read_text()
    assert "zookeeper" in [program.name for program in programs(given, layout)]
    options = zookeeper.high_availability(given, layout)
    assert options["high-availability.type"] == "zookeeper"
    assert str(layout.data) in str(options["high-availability.storageDir"])


def test_a_setting_with_quotes_reaches_the_process_as_it_is(tmp_path: Path) -> None:
    given = settings(tmp_path)
    program = Program("x", ["x"], {"A": '{"b": "c%"}', "D": "plain"})
    line = next(one for one in program.section(Layout.of(given)).splitlines() if one.startswith("environment="))
    found = datatypes.dict_of_key_value_pairs(line.removeprefix("environment=").replace("%%", "%"))
    assert found == {"A": '{"b": "c%"}', "D": "plain"}


def test_the_table_of_the_broker_wins(tmp_path: Path) -> None:
    given = settings(tmp_path, stack={"broker": {"num.partitions": "9"}})
    assert broker.properties(given, Layout.of(given))["num.partitions"] == "9"
