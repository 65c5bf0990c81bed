"""Grafana's dashboards: what is committed is what the code makes, and every expression is PromQL."""

import json
from pathlib import Path

import pytest
import yaml

from deploy.monitoring.dashboards import ANNOTATIONS, built
from deploy.monitoring.panels import DASHBOARDS, DashboardSpec
from tests.monitoring.test_rules import promtool
from tests.running_stack import ROOT

FOLDER = ROOT / "deploy" / "monitoring" / "grafana"


def expressions() -> list[str]:
    """All that the dashboards ask, with Grafana's variable filled in."""
    asked = [q for spec in DASHBOARDS for row in spec.rows.values() for panel in row for q in panel.queries.values()]
    return [text.replace("$__rate_interval", "1m") for text in [*asked, *(text for text, _ in ANNOTATIONS.values())]]


@pytest.mark.parametrize("spec", DASHBOARDS, ids=lambda spec: spec.uid)
def test_a_dashboard_is_as_the_code_makes_it(spec: DashboardSpec) -> None:
    text = (FOLDER / f"{spec.uid}.json").read_text()
    assert text == built(spec), "run `make monitoring`"
    board = json.loads(text)
    assert board["templating"]["list"][0]["type"] == "datasource"
    assert {one["name"] for one in board["annotations"]["list"]} == set(ANNOTATIONS)
    for panel in board["panels"]:
        assert panel["type"] == "row" or (panel["description"] and panel["datasource"]["uid"] == "${source}")


def test_every_expression_parses(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(expressions())]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", str(file))


def test_no_other_dashboard_lies_in_the_folder() -> None:
    assert {file.stem for file in FOLDER.glob("*.json")} == {spec.uid for spec in DASHBOARDS}
