"""The questions of /ops, with Prometheus' answers as they are on the wire."""

import asyncio
import contextlib

import httpx
import pytest

from storefront.watching import ops as module
from storefront.watching.ops import CHARTS, FACTS, RANGES, Ops


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


def overview_of(transport: httpx.MockTransport):
    ops = Ops("http://prometheus")
    ops._client = httpx.AsyncClient(base_url="http://prometheus", transport=transport)
    return asyncio.run(ops.overview(15))


def test_the_overview_has_charts_parts_alerts_and_facts() -> None:
    overview = overview_of(httpx.MockTransport(answers))
    assert overview.prometheus
    assert [chart.id for chart in overview.charts] == [chart[0] for chart in CHARTS]
    assert overview.charts[0].lines[0].label == "p99"
    assert overview.charts[0].lines[0].points == [(1.0, 2.5), (3.0, 4.0)]  # what is not a number is a gap
    assert [(part.name, part.up) for part in overview.parts] == [("broker", False), ("jobmanager", True)]
    assert (overview.alerts[0].name, overview.alerts[0].do, overview.facts) == ("BrokerDown", "d", {"model": "gru 7"})
    assert set(overview.facts) <= set(FACTS)


def test_without_prometheus_it_says_so() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no")

    overview = overview_of(httpx.MockTransport(refuse))
    assert (overview.prometheus, overview.charts, overview.alerts) == (False, [], [])


def counting() -> tuple[Ops, list[str]]:
    """Asks `answers` after a moment, and notes each question."""
    ops, asked_for = Ops("http://prometheus"), list[str]()

    async def slowly(request: httpx.Request) -> httpx.Response:
        asked_for.append(str(request.url))
        await asyncio.sleep(0.02)
        return answers(request)

    ops._client = httpx.AsyncClient(base_url="http://prometheus", transport=httpx.MockTransport(slowly))
    return ops, asked_for


ONE_OVERVIEW = len(CHARTS) + len(FACTS) + 2


def test_all_who_look_share_an_answer_for_a_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    ops, questions = counting()

    async def look() -> None:
        overviews = await asyncio.gather(*(ops.overview(15) for _ in range(50)))
        assert all(overview is overviews[0] for overview in overviews)
        await ops.overview(15)
        assert len(questions) == ONE_OVERVIEW
        monkeypatch.setattr(module, "SHARED_S", 0.0)
        assert await ops.overview(15) is not overviews[0]

    asyncio.run(look())
    assert len(questions) == 2 * ONE_OVERVIEW


def test_there_are_few_ranges_whatever_is_asked_for() -> None:
    ops, questions = counting()

    async def look() -> None:
        ranges = [(await ops.overview(minutes)).minutes for minutes in (1, 15, 16, 60, 61, 360, 361, 1440)]
        assert ranges == [15, 15, 60, 60, 360, 360, 1440, 1440]
        for minutes in range(1, 1441):
            await ops.overview(minutes)

    asyncio.run(look())
    assert len(questions) == len(RANGES) * ONE_OVERVIEW
    assert len(ops._recent) == len(RANGES)


def test_one_who_goes_away_does_not_take_the_answer_from_the_others() -> None:
    ops, questions = counting()

    async def look() -> None:
        first, second = asyncio.create_task(ops.overview(15)), asyncio.create_task(ops.overview(15))
        await asyncio.sleep(0.01)
        first.cancel()
        assert (await second).prometheus
        with contextlib.suppress(asyncio.CancelledError):
            await first
        await ops.close()

    asyncio.run(look())
    assert len(questions) == ONE_OVERVIEW


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"data": null}', b'{"data": {"result": [{}]}}'])
def test_what_is_no_prometheus_does_not_answer(body: bytes) -> None:
    overview = overview_of(httpx.MockTransport(lambda _: httpx.Response(200, content=body)))
    assert (overview.prometheus, overview.charts) == (False, [])
