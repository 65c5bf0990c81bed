"""The questions of /ops, with Prometheus' answers as they are on the wire."""

import asyncio

import httpx

from storefront.ops import CHARTS, FACTS, Ops


def answers(request: httpx.Request) -> httpx.Response:
    query = request.url.params.get("query", "")
    if request.url.path.endswith("alerts"):
        alert = {
            "labels": {"alertname": "BrokerDown", "severity": "page", "kind": "cause"},
            "annotations": {"summary": "s", "do": "d", "runbook": "r"},
            "state": "firing",
            "activeAt": "2026-11-24T06:00:00Z",
            "value": "1e+00",
        }
        return reply({"alerts": [alert]})
    if request.url.path.endswith("query_range"):
        series = {"metric": {"stage": "wait", "quantile": "p99"}, "values": [[1, "2.5"], [2, "NaN"], [3, "4"]]}
        return reply({"result": [series]})
    if query.startswith("up"):
        broker = {"metric": {"job": "broker"}, "value": [1, "0"]}
        return reply({"result": [broker, {"metric": {"job": "flink", "part": "jobmanager"}, "value": [1, "1"]}]})
    if query == "liveshelf_model_info":
        return reply({"result": [{"metric": {"name": "gru", "version": "7"}, "value": [1, "1"]}]})
    return reply({"result": []})


def reply(data: dict[str, object]) -> httpx.Response:
    return httpx.Response(200, json={"status": "success", "data": data})


def asked(transport: httpx.MockTransport):
    ops = Ops("http://prometheus")
    ops._client = httpx.AsyncClient(base_url="http://prometheus", transport=transport)
    return asyncio.run(ops.overview(15))


def test_the_overview_has_charts_parts_alerts_and_facts() -> None:
    found = asked(httpx.MockTransport(answers))
    assert found.prometheus
    assert [chart.id for chart in found.charts] == [chart[0] for chart in CHARTS]
    assert found.charts[0].lines[0].label == "p99"
    assert found.charts[0].lines[0].points == [(1.0, 2.5), (3.0, 4.0)]  # what is not a number is a gap
    assert [(part.name, part.up) for part in found.parts] == [("broker", False), ("jobmanager", True)]
    assert (found.alerts[0].name, found.alerts[0].do, found.facts) == ("BrokerDown", "d", {"model": "gru 7"})
    assert set(found.facts) <= set(FACTS)


def test_without_prometheus_it_says_so() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no")

    found = asked(httpx.MockTransport(refuse))
    assert (found.prometheus, found.charts, found.alerts) == (False, [], [])
