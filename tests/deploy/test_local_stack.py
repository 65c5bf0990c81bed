import configparser
import importlib.util
import os
import re
import shlex
import socket
import subprocess
import sys
import uuid
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from supervisor import datatypes

from deploy.local import jars, probes, stack
from deploy.local.flink import flink_home, flink_metrics, zookeeper
from deploy.local.jars import ensure_jars, expected_sums, wrong_jars
from deploy.local.kafka import broker
from deploy.local.layout import HERE, Layout, tool
from deploy.local.supervisor import Program, Supervisor, programs, write_supervisor_conf
from deploy.local.watchers.prometheus import scrape_config
from operators.errors import SettingsError, StackError
from operators.settings import Settings


def settings(tmp_path: Path, **sections) -> Settings:
    dump = Settings.model_construct().model_dump()
    dump["stack"] |= {"data_dir": str(tmp_path / "data"), "jars_dir": str(tmp_path / "jars")}
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


@pytest.mark.parametrize("name", ["own-serializer.jar", "evil.JAR"])
def test_a_jar_that_nobody_knows_is_refused_for_it_would_run_in_the_broker(tmp_path: Path, name: str) -> None:
    layout = Layout.of(settings(tmp_path))
    layout.jars.mkdir(parents=True)
    (layout.jars / name).touch()
    assert wrong_jars(layout)[name] == "unknown"
    with pytest.raises(StackError, match=name) as refused:
        ensure_jars(layout)
    assert f"rm {layout.jars / name}" in str(refused.value)


def test_maven_fetches_with_the_plugin_of_the_pom_and_checks_its_sums(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = list[list[str]]()
    failed = subprocess.CompletedProcess([], 1, stdout="no network")
    monkeypatch.setattr(jars.subprocess, "run", lambda command, **_: seen.append(command) or failed)
    with pytest.raises(StackError, match="no network"):
        ensure_jars(Layout.of(settings(tmp_path)))
    assert "--strict-checksums" in seen[0]
    group, name, goal = next(word for word in seen[0] if word.endswith(":copy-dependencies")).split(":")
    space = {"m": "http://maven.apache.org/POM/4.0.0"}
    plugins = ElementTree.parse(HERE / "pom.xml").findall("m:build/m:plugins/m:plugin", space)
    versions = {p.findtext("m:artifactId", None, space): p.findtext("m:version", None, space) for p in plugins}
    assert (group, goal) == ("org.apache.maven.plugins", "copy-dependencies")
    assert versions[name], "without a version each Maven takes another one"


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
    layout.jars.mkdir()
    flink_home.build_flink_home(layout)
    flink_home.write_config(given, layout)
    config = yaml.safe_load(flink_home.config_file(layout).read_text())
    assert Path(config["io.tmp.dirs"]).is_relative_to(layout.flink_home), (
        "what killed TaskManagers leave goes at the next `up`"
    )
    assert "--add-opens=java.base/java.lang=ALL-UNNAMED" in config["env.java.opts.all"]
    assert (config["heartbeat.interval"], config["heartbeat.timeout"]) == (1000, 5000)
    assert config["taskmanager.numberOfTaskSlots"] == 1
    binds = [name for name in config if name.endswith(("bind-host", "bind-address", "rpc.address", "rest.address"))]
    assert {config[name] for name in [*binds, "taskmanager.host"]} == {"127.0.0.1"}
    assert len(binds) == 5
    assert (config["web.submit.enable"], config["web.cancel.enable"]) == (False, False)


@pytest.mark.parametrize("url", ["https://127.0.0.1:8081", "http://flink.example.com", "http://127.0.0.1:8081/team"])
def test_no_stack_is_started_under_another_clusters_address(tmp_path: Path, url: str) -> None:
    with pytest.raises(StackError, match=r"job\.rest_url") as refused:
        stack.start_stack(settings(tmp_path, job={"rest_url": url}))
    assert "--rest" in str(refused.value)


def test_a_broker_without_a_port_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"kafka\.bootstrap as host:port"):
        probes.ports(settings(tmp_path, kafka={"bootstrap": "broker1"}))


def test_the_local_stack_has_one_broker(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"one address in kafka\.bootstrap"):
        stack.start_stack(settings(tmp_path, kafka={"bootstrap": "127.0.0.1:9092,127.0.0.1:9094"}))


def test_another_cluster_takes_no_port_here(tmp_path: Path) -> None:
    assert "flink rest" not in probes.ports(settings(tmp_path, job={"rest_url": "https://flink.example.com"}))
    assert probes.ports(settings(tmp_path, job={"rest_url": "http://127.0.0.1"}))["flink rest"] == 80


def test_flinks_processes_find_our_python_before_another_of_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An activated conda or pyenv comes first on the PATH of the shell."""
    monkeypatch.setenv("PATH", os.pathsep.join([str(tmp_path), "/usr/bin"]))
    path = flink_home.process_environment(Layout.of(settings(tmp_path)))["PATH"]
    assert path.split(os.pathsep) == [str(Path(sys.executable).parent), str(tmp_path), "/usr/bin"]


def test_there_is_a_spare_taskmanager_and_each_logs_to_a_file_of_its_own(tmp_path: Path) -> None:
    given = settings(tmp_path)
    managers = [p for p in programs(given, Layout.of(given)) if p.name.startswith("taskmanager")]
    assert len(managers) == 2
    assert len({p.environment["FLINK_IDENT_STRING"] for p in managers}) == 2


def test_the_scorer_service_is_a_part_exactly_where_its_socket_is_set(tmp_path: Path) -> None:
    path = str(tmp_path / "run" / "scorer.sock")
    for given, expected in ((settings(tmp_path), []), (settings(tmp_path, scorer={"socket": path}), ["scorer"])):
        layout = Layout.of(given)
        parts = [part for part in programs(given, layout) if part.name == "scorer"]
        assert [part.name for part in parts] == expected
        assert [probe.name for probe in probes.probes(given) if probe.name == "scorer"] == expected
    assert parts[0].command[-2:] == ["pipelines.scoring.server", path]
    assert importlib.util.find_spec(parts[0].command[-2]) is not None
    (probe,) = (probe for probe in probes.probes(given) if probe.name == "scorer")
    assert probe.answer() is None, "nobody listens"
    Path(path).parent.mkdir()
    with socket.socket(socket.AF_UNIX) as service:
        service.bind(path)
        service.listen()
        assert probe.answer() == "listens"


def test_the_trainer_is_a_part_exactly_where_it_follows(tmp_path: Path) -> None:
    for follows, expected in ((False, []), (True, ["trainer"])):
        given = settings(tmp_path, trainer={"follow": follows})
        parts = [part for part in programs(given, Layout.of(given)) if part.name == "trainer"]
        assert [part.name for part in parts] == expected
    assert parts[0].command[-4:] == ["-m", "liveshelf", "train", "--follow"]
    assert importlib.util.find_spec("liveshelf.__main__") is not None
    assert parts[0].environment["OMP_NUM_THREADS"] == "1"


def test_prometheus_is_told_of_every_process(tmp_path: Path) -> None:
    given = settings(tmp_path)
    jobs = {job["job_name"] for job in scrape_config(given, Layout.of(given))["scrape_configs"]}
    assert jobs == {"announced", "flink", "broker", "storefront", "monitor", "prometheus", "alertmanager"}


def test_each_process_of_flink_has_a_metrics_port_of_its_own(tmp_path: Path) -> None:
    given = settings(tmp_path)
    flink = ("jobmanager", "taskmanager")
    agents = {p.name: p.environment["JVM_ARGS"] for p in programs(given, Layout.of(given)) if p.name.startswith(flink)}
    listens = {name: agent.split("=")[1].rsplit(":", 1)[0] for name, agent in agents.items()}
    assert listens == {
        "jobmanager": "127.0.0.1:9250",
        "taskmanager-0": "127.0.0.1:9251",
        "taskmanager-1": "127.0.0.1:9252",
    }


def test_a_bean_of_flink_has_the_name_and_labels_of_flinks_own_reporter() -> None:
    """What `deploy/monitoring` asks; the exporter matches `domain<properties><>attribute: value` with this pattern."""
    bean = (
        "org.apache.flink.taskmanager.job.task.operator.user.rocksdb.estimate-num-keys<tm_id=127.0.0.1-1-a, job_id=0f, "
        "task_name=refresh_-_(Calc[8], host=127.0.0.1, job_name=liveshelf><>Value: 7"
    )
    rule, of_counters = flink_metrics.rules()["rules"]
    found = re.match(rule["pattern"], bean)
    assert found is not None
    name = re.sub(r"[^a-zA-Z0-9_]", "_", rule["name"].replace("$1", found[1]))
    labels = {label: found[int(group[1:])] for label, group in rule["labels"].items() if found[int(group[1:])]}
    assert name == "flink_taskmanager_job_task_operator_user_rocksdb_estimate_num_keys"
    assert (labels["job_id"], labels["job_name"], labels["host"]) == ("0f", "liveshelf", "127.0.0.1")
    assert "operator_name" not in labels
    meter = bean.replace(">Value", ">Count")
    assert not re.match(rule["pattern"], meter) and not re.match(of_counters["pattern"], meter)
    counter = meter.replace("user.rocksdb.estimate-num-keys", "liveshelfBatches")
    assert not re.match(rule["pattern"], counter)
    assert re.match(of_counters["pattern"], counter)[1] == "taskmanager.job.task.operator.liveshelfBatches"


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


def test_a_command_with_blanks_reaches_the_process_word_by_word(tmp_path: Path) -> None:
    """supervisor splits its line as a shell does."""
    words = ["/a b/java", "-Dx=100%", "it's", '-D"q"']
    section = Program("x", words, {}).section(Layout.of(settings(tmp_path)))
    line = next(one for one in section.splitlines() if one.startswith("command="))
    assert shlex.split(line.removeprefix("command=").replace("%%", "%")) == words


def test_supervisor_listens_on_a_socket_that_its_user_alone_may_use(tmp_path: Path) -> None:
    given = settings(tmp_path)
    layout = Layout.of(given)
    layout.make()
    write_supervisor_conf(given, layout)
    written = configparser.RawConfigParser(strict=True)
    written.read(layout.supervisor_conf)
    assert "inet_http_server" not in written
    assert dict(written["unix_http_server"]) == {"file": str(layout.supervisor_socket), "chmod": "0700"}
    assert written["supervisord"]["umask"] == "077"
    assert not Supervisor(layout).running()


def test_the_table_of_the_broker_wins(tmp_path: Path) -> None:
    given = settings(tmp_path, stack={"broker": {"num.partitions": "9"}})
    assert broker.properties(given, Layout.of(given))["num.partitions"] == "9"
