"""Grafana's dashboards as JSON: `python -m deploy.monitoring.dashboards deploy/monitoring/grafana` (`make monitoring`)."""

import json
import sys
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models

from deploy.monitoring.alert import RUNBOOK
from deploy.monitoring.panels import DASHBOARDS, DashboardSpec, PanelSpec

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${source}")
WIDTH, HEIGHT = 8, 8  # of 24 columns
# a vertical line wherever another bundle began to serve, or the job was submitted anew
ANNOTATIONS = {
    "Model swaps": ("changes(liveshelf_model_created_timestamp_seconds[1m]) > 0 or (liveshelf_model_info unless liveshelf_model_info offset 1m)", "purple"),
    "Deploys": ("flink_jobmanager_job_numRestarts unless flink_jobmanager_job_numRestarts offset 1m", "blue"),
    "Pages": ('ALERTS{alertstate="firing",severity="page"}', "red"),
}  # fmt: skip


def built(spec: DashboardSpec) -> str:
    """One dashboard as JSON."""
    board = (
        dashboard.Dashboard(spec.title)
        .uid(spec.uid)
        .description(spec.description)
        .tags(["liveshelf"])
        .refresh("10s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("source").label("Prometheus").type("prometheus"))
        .link(dashboard.DashboardLink("Liveshelf").type(models.DashboardLinkType.DASHBOARDS).tags(["liveshelf"]).as_dropdown(True).keep_time(True))
        .link(dashboard.DashboardLink(f"Runbook: {RUNBOOK}").type(models.DashboardLinkType.LINK).url(RUNBOOK))
    )  # fmt: skip
    for name, (expression, colour) in ANNOTATIONS.items():
        query = (
            dashboard.AnnotationQuery().name(name).datasource(SOURCE).enable(True).icon_color(colour).expr(expression)
        )
        board = board.annotation(query)
    for row, panels in spec.rows.items():
        board = board.with_row(dashboard.Row(row))
        for panel in panels:
            board = board.with_panel(_panel(panel))
    return (
        json.dumps(json.loads(JSONEncoder(sort_keys=True, indent=1).encode(board.build())), indent=1, sort_keys=True)
        + "\n"
    )


def _panel(spec: PanelSpec) -> Any:
    panel = (
        timeseries.Panel()
        .title(spec.title)
        .description(spec.description)
        .unit(spec.unit)
        .datasource(SOURCE)
        .span(WIDTH)
        .height(HEIGHT)
        .min(0)
        .fill_opacity(30 if spec.stacked else 8)
        .show_points(common_models.VisibilityMode.NEVER)
        .legend(common.VizLegendOptions().show_legend(True).placement(common_models.LegendPlacement.BOTTOM).display_mode(common_models.LegendDisplayMode.LIST))
        .tooltip(common.VizTooltipOptions().mode(common_models.TooltipDisplayMode.MULTI))
    )  # fmt: skip
    if spec.stacked:
        panel = panel.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL))
    if spec.limit is not None:
        steps = [models.Threshold(value=None, color="green"), models.Threshold(value=spec.limit, color="red")]
        panel = panel.thresholds(dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps))
        panel = panel.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(common_models.GraphTresholdsStyleMode.LINE)
        )
    for number, (legend, expression) in enumerate(spec.queries.items()):
        query = (
            prometheus.Dataquery()
            .expr(expression)
            .legend_format(legend)
            .ref_id(chr(ord("A") + number))
            .datasource(SOURCE)
        )
        panel = panel.with_target(query.exemplar(True) if spec.exemplars else query)
    return panel


def main(folder: Path) -> None:
    """Writes one file a dashboard."""
    folder.mkdir(parents=True, exist_ok=True)
    for spec in DASHBOARDS:
        (folder / f"{spec.uid}.json").write_text(built(spec))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
