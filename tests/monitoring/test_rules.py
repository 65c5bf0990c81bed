"""The rules in Prometheus' own tool: each alert fires for its cause, alone, and stays silent when all is well."""

import os
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from deploy.local.watchers.alertmanager import routing
from deploy.monitoring.alert import Lengths, as_long, timed
from deploy.monitoring.alerts import ALERTS
from deploy.monitoring.explained import EXPLAINS
from deploy.monitoring.rules import rule_groups, rules_text
from deploy.monitoring.runbook import with_sections
from liveshelf.main import app
from liveshelf.pages import metrics_page
from operators.settings import Settings
from storefront.watching.ops import CHARTS, FACTS, PARTS
from tests.monitoring.alert_cases import CASES, HEALTHY, Case
from tests.running_stack import ROOT

FOR_EVER = "x20000"
LONG = 300
RULES = ROOT / "deploy" / "monitoring" / "liveshelf.rules.yml"


def promtool(*words: str) -> None:
    program = shutil.which("promtool")
    assert program, "install prometheus: make test does it as root"
    done = subprocess.run([program, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def as_promtool(case: Case) -> dict[str, object]:
    series = HEALTHY | case.series
    return {
        "interval": "1m",
        "name": case.name,
        "input_series": [
            {"series": name, "values": values.replace(FOR_EVER, f"x{case.at + 10}")} for name, values in series.items()
        ],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname, severity) (ALERTS{alertstate="firing"})',
                "eval_time": f"{case.at}m",
                "exp_samples": [
                    {"labels": f'{{alertname="{name}", severity="{severity}"}}', "value": 1}
                    for name, severity in sorted(case.fires)
                ],
            }
        ],
    }


def test_the_committed_file_is_the_one_that_the_code_makes() -> None:
    assert RULES.read_text() == rules_text(), "run `make monitoring`"
    promtool("check", "rules", str(RULES))


@pytest.mark.parametrize("evaluated", ["1m", pytest.param("30m", marks=pytest.mark.slow)])
def test_each_alert_fires_for_its_cause_and_no_other_does(tmp_path: Path, evaluated: str) -> None:
    """What takes more than a few hours is evaluated each half hour only: each minute of a week takes promtool minutes.

    promtool uses one core: the cases are dealt to as many of it as there are.
    """
    tests = [as_promtool(case) for case in CASES if (case.at > LONG) == (evaluated == "30m")]
    # promtool takes groups in any order: an alert would ask for what is not recorded yet
    order = [group["name"] for group in rule_groups()["groups"]]
    head = {"rule_files": [str(RULES)], "evaluation_interval": evaluated, "group_eval_order": order}
    cores = os.cpu_count() or 1
    files = [tmp_path / f"cases-{core}.yml" for core in range(cores)]
    for core, file in enumerate(files):
        file.write_text(yaml.safe_dump(head | {"tests": tests[core::cores]}))
    with ThreadPoolExecutor(cores) as threads:
        list(threads.map(lambda file: promtool("test", "rules", str(file)), files))


def test_every_alert_has_a_case_that_fires_it() -> None:
    fired = {one for case in CASES for one in case.fires}
    assert {(alert.name, alert.severity) for alert in ALERTS} == fired


def test_every_alert_has_a_section_in_the_runbook() -> None:
    text = (ROOT / "docs" / "operate.md").read_text()
    assert text == with_sections(text), "run `make monitoring`"
    for alert in ALERTS:
        link = alert.rule()["annotations"]["runbook"]
        assert link == f"docs/operate.md#{alert.name.lower()}"
        assert f"\n### {alert.name}\n" in text


def test_what_to_type_exists() -> None:
    verbs = {command.name for command in app.registered_commands}
    groups = {group.name: {c.name or c.callback.__name__ for c in group.typer_instance.registered_commands} for group in app.registered_groups}  # fmt: skip
    for alert in ALERTS:
        for verb, more in re.findall(r"liveshelf ([a-z][a-z-]+)(?: ([a-z]+))?", alert.do):
            assert verb in verbs or more in groups[verb], f"{alert.name}: liveshelf {verb} {more}"


def test_the_page_of_metrics_is_the_one_that_the_code_makes() -> None:
    written = (ROOT / "docs" / "metrics.md").read_text()
    assert written == metrics_page.page(Settings.model_construct()), "run `make monitoring`"


def test_names_are_prometheus_own_way() -> None:
    """liveshelf_<what>_<unit>[_total], a help text, and no label that grows with users or items."""
    for registry in metrics_page.registries(Settings.model_construct()).values():
        for name, kind, labels, text in metrics_page.families(registry):
            assert re.fullmatch(r"liveshelf_[a-z0-9_]+", name)
            assert text and name.endswith("_total") == (kind == "counter")
            assert not {"user", "user_id", "item", "item_id", "event_id"} & set(labels)
            assert kind != "histogram" or name.endswith(("_seconds", "_users", "_ratio"))


@pytest.mark.parametrize("lengths", [as_long, lambda seconds: max(5.0, seconds / 240)])
def test_every_question_of_the_page_parses(tmp_path: Path, lengths: Lengths) -> None:
    asked = [chart[3] for chart in CHARTS] + [PARTS, *FACTS.values()]
    rules = [{"record": f"question:{n}", "expr": text} for n, text in enumerate(asked)]
    groups = [*rule_groups(lengths)["groups"], {"name": "page", "rules": rules}]
    file = tmp_path / "questions.yml"
    file.write_text(yaml.safe_dump({"groups": groups}))
    promtool("check", "rules", str(file))


def test_time_can_be_compressed() -> None:
    assert timed("rate(x[@5m@]) offset @1w@") == "rate(x[5m]) offset 1w"
    assert timed("rate(x[@5m@]) offset @1w@", lambda seconds: seconds / 1000) == "rate(x[300ms]) offset 604800ms"


def test_what_explains_and_what_is_explained_are_alerts() -> None:
    names = {alert.name for alert in ALERTS}
    assert names >= set(EXPLAINS)
    assert names >= {name for explained in EXPLAINS.values() for name in explained.split("|")}


def test_alertmanager_takes_the_routing(tmp_path: Path) -> None:
    program = shutil.which("amtool")
    assert program, "install prometheus-alertmanager: make test does it as root"
    for url in ("", "http://127.0.0.1:1/hook"):
        file = tmp_path / "alertmanager.yml"
        file.write_text(yaml.safe_dump(routing(url)))
        done = subprocess.run([program, "check-config", str(file)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
