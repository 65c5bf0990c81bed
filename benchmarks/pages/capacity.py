"""Computes what a shop of a given size needs (CPU, slots, partitions, state, bytes) from kept results.

`python -m benchmarks.pages.capacity docs/scale.md` writes the page. The results come from one small machine; figures for
larger shops are arithmetic, not measurements.
"""

import math
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring.results import figure, read
from operators.errors import LiveshelfError

KEPT = Path(__file__).resolve().parents[1] / "results"
EVENT_BYTES = 211  # with key and headers, as below: mean of 200 records of the fault tests' load
LIST_BYTES = 2056  # of 20 items
BUSY = 0.6  # planned load of a core or a slot; the rest is for restarts, bursts and a dead part
RETENTION_S = 7 * 86_400  # of shop.events.v1
REPLICAS = 3
FULL_USER_BYTES = 956  # in a savepoint, with fifty steps, the maximum of a state (measured 2026-11-24)
NEEDED = ("throughput", "scorer", "state", "sustain", "storefront", "scale")


@dataclass(frozen=True)
class ShopSize:
    """The size of a shop; rates are at the peak. Every event causes a list, the most expensive case."""

    users: int
    items: int
    events_per_s: float
    lookups_per_s: float


SHOPS = {
    "a large shop": ShopSize(1_000_000, 50_000, 2_000, 5_000),
    "a marketplace": ShopSize(20_000_000, 200_000, 50_000, 100_000),
    "the largest there are": ShopSize(100_000_000, 1_000_000, 1_000_000, 2_000_000),
}


@dataclass(frozen=True)
class Costs:
    """The costs of a list, a user, an item. `scoring` (a, b): us a list = a + b * items, one core, float32."""

    scoring: tuple[float, float]
    rest_us: float  # of a list in the TaskManager, without the scorer
    broker_us: float
    apply_us: float  # the storefront reads a list from the topic
    lookup_us: float
    slot_lists_per_s: float  # with the items of the measurement
    user_bytes: float  # in a savepoint
    savepoint_mb_per_s: float

    @classmethod
    def of(cls, results: dict[str, dict[str, Any]]) -> "Costs":
        """Computes the costs from kept results. Raises `LiveshelfError` if a result or a figure is missing or makes no sense."""
        if missing_names := [name for name in NEEDED if name not in results]:
            raise LiveshelfError(
                f"results of {', '.join(NEEDED)}", f"no {', '.join(missing_names)}", "liveshelf bench NAME --keep FILE"
            )
        fixed, slope = _scoring(results)
        cost_us = {  # us a list
            part: 1000 * figure(results, "throughput", "cpu_s_per_1000", part)
            for part in figure(results, "throughput", "cpu_s_per_1000")
        }
        lookups = figure(results, "storefront", "requests_per_s")
        lists = figure(results, "storefront", "lists_per_s") * cost_us["storefront"] / 1e6
        busy = figure(results, "storefront", "cores_used", "storefront") - lists
        tasks = sum(cost for part, cost in cost_us.items() if part.startswith("taskmanager"))
        costs = cls(
            scoring=(fixed, slope),
            rest_us=tasks - (fixed + slope * items_of(results["throughput"])),
            broker_us=cost_us["kafka"],
            apply_us=cost_us["storefront"],
            lookup_us=1e6 * busy / lookups,
            slot_lists_per_s=figure(results, "sustain", "sustained_per_s"),
            user_bytes=figure(results, "state", "sizes", -1, "bytes_a_user"),
            savepoint_mb_per_s=figure(results, "state", "sizes", -1, "savepoint_mb")
            / figure(results, "state", "sizes", -1, "savepoint_s"),
        )
        invalid = {name: value for name, value in asdict(costs).items() if name != "scoring" and not value > 0}
        if invalid:
            raise LiveshelfError("costs above 0", f"{invalid}", "measure the kept results again, in one run")
        return costs

    def list_us(self, items: float) -> float:
        """CPU of a list in the TaskManager, us."""
        return self.rest_us + self.scoring[0] + self.scoring[1] * items


def _scoring(results: dict[str, dict[str, Any]]) -> tuple[float, float]:
    """(us a list without items, us for each item)."""
    cells = [
        (cell["items"], cell["us_a_user"])
        for cell in figure(results, "scorer", "grid")
        if (cell["width"], cell["table"], cell["batch"]) == (128, "float32", 64) and cell["us_a_user"]
    ]
    if len({items for items, _ in cells}) < 2:
        raise LiveshelfError("scorer times at two sizes", f"{cells}", "liveshelf bench scorer --keep FILE")
    slope, fixed = np.polyfit(*zip(*cells, strict=True), 1)
    return float(fixed), float(slope)


def items_of(result: dict[str, Any]) -> int:
    """The number of items in the catalogue of a result."""
    return int(result["bundle"].split(", ")[1].split(" ")[0])


def needs(results: dict[str, dict[str, Any]], shop: ShopSize) -> dict[str, float]:
    """Need -> amount; the names contain the units."""
    costs, rate = Costs.of(results), shop.events_per_s
    slower = costs.list_us(items_of(results["sustain"])) / costs.list_us(shop.items)
    slots = math.ceil(rate / (BUSY * costs.slot_lists_per_s * slower))
    state_gb = shop.users * FULL_USER_BYTES / 1e9
    return {
        "us a list, TaskManager": round(costs.list_us(shop.items)),
        "of it the scorer": round(costs.scoring[0] + costs.scoring[1] * shop.items),
        "slots, a TaskManager each": slots,
        "cores for them": math.ceil(rate * costs.list_us(shop.items) / 1e6 / BUSY),
        "partitions": partitions(slots),
        "state, GB in a savepoint, at most": round(state_gb, 1),
        "GB a slot": round(state_gb / slots, 2),
        "s for a savepoint": round(1000 * state_gb / slots / costs.savepoint_mb_per_s, 1),
        "brokers' cores, one replica": math.ceil(rate * costs.broker_us / 1e6 / BUSY),
        "MB/s into the brokers": round(rate * (EVENT_BYTES + LIST_BYTES) / 1e6),
        f"TB of events, 7 days, {REPLICAS} replicas": round(rate * EVENT_BYTES * RETENTION_S * REPLICAS / 1e12, 1),
        f"GB of newest lists, {REPLICAS} replicas": round(shop.users * LIST_BYTES * REPLICAS / 1e9, 1),
        "storefronts, by lists taken in": math.ceil(rate * costs.apply_us / 1e6 / BUSY),
        "storefronts, by look-ups": math.ceil(shop.lookups_per_s * costs.lookup_us / 1e6 / BUSY),
        "GB of a storefront's view": round(shop.users * LIST_BYTES / 1e9, 1),
    }


def partitions(slots: int) -> int:
    """Twice the slots, so that they can double; at least 12, because the number can never change later."""
    return max(12, 2 * slots)


def all_kept() -> dict[str, dict[str, Any]]:
    """The results that the page uses."""
    return read(KEPT) | read(KEPT / "gpu" / "job.json")


def page(results: dict[str, dict[str, Any]]) -> str:
    """The text of docs/scale.md."""
    costs, machine = Costs.of(results), results["throughput"]["machine"]
    gpu_job, rates = results["job on a GPU"], _rates_of_slots(results)
    return PAGE.format(
        machine=f"{machine['cores']} cores, {machine['cpu']}",
        cores=gpu_job["machine"]["cores"],
        four_slots=rates["cpu", 4],
        speed_up=rates["cpu", 4] / rates["cpu", 1],
        on_gpu=rates["cuda", 4],
        table=_table(results),
        busy=f"{BUSY:.0%}",
        fixed=costs.scoring[0],
        slope=1000 * costs.scoring[1],
        rest=costs.rest_us,
        broker=costs.broker_us,
        apply=costs.apply_us,
        lookup=costs.lookup_us,
        slot=costs.slot_lists_per_s,
        slot_items=items_of(results["sustain"]),
        planned_rate=BUSY * costs.slot_lists_per_s,
        storefront_limit=1e6 / costs.apply_us,
        user=costs.user_bytes,
        full_user=FULL_USER_BYTES,
        slot_us=1e6 * figure(results, "scale", "cost", "b") / 1000,
        event=EVENT_BYTES,
        list=LIST_BYTES,
    )


def _rates_of_slots(results: dict[str, dict[str, Any]]) -> dict[tuple[str, int], Any]:
    """(provider, slots) -> lists/s of the job with the smallest catalogue."""
    drains = results["job on a GPU"]["drains"]
    smallest = min(drain["items"] for drain in drains)
    return {
        (drain["provider"], drain["slots"]): figure(results, "job on a GPU", "drains", number, "lists_per_s")
        for number, drain in enumerate(drains)
        if drain["items"] == smallest
    }


def _table(results: dict[str, dict[str, Any]]) -> str:
    """The sizes and the needs of `SHOPS`, in Markdown."""
    needs_by_shop = {name: needs(results, shop) for name, shop in SHOPS.items()}
    sizes = [
        (label, *(f"{asdict(shop)[field]:,.0f}" for shop in SHOPS.values()))
        for field, label in (
            ("users", "users"), ("items", "items"), ("events_per_s", "events/s at the peak"), ("lookups_per_s", "look-ups/s"),
        )
    ]  # fmt: skip
    names = next(iter(needs_by_shop.values()))
    rows = [(name, *(f"{shop_needs[name]:,}" for shop_needs in needs_by_shop.values())) for name in names]
    return "\n".join(f"| {' | '.join(row)} |" for row in (("", *SHOPS), ("---",) * (1 + len(SHOPS)), *sizes, *rows))


PAGE = """# Past one machine

This page computes what a larger shop needs from measurements on one machine ({machine}; `benchmarks/results/`).
**It is arithmetic, not a measurement.** The largest measured set-up had four slots on one machine of {cores} cores:
{four_slots:,} lists/s, {speed_up:.1f} times one slot's, and {on_gpu:,} with its GPU
([performance](performance.md#on-a-gpu)). `liveshelf bench capacity --users … --items … --events …` computes it
for your shop. `make capacity` writes this page.

{table}

The table assumes one list per event, a float32 model of width 128 on CPUs, and parts that are {busy} busy.

- **TaskManagers.** A list costs {rest:.0f} us beside the scorer (step, RocksDB, JNI, ranking, JSON), and
  {fixed:.0f} us plus {slope:.1f} us per 1,000 items in it. One slot sustained {slot:,} lists/s with {slot_items:,}
  items. Its step and its scorer process then each use about half a core, so a second slot on the same two cores
  gains almost nothing, and each list costs {slot_us:.0f} us more. Slots in one TaskManager share an interpreter's
  lock: give each slot a TaskManager with 1.5 to 2 cores.
- **Scorer.** From some 100,000 items on the scorer is most of the cost, and it grows with the catalogue. Then
  use int8 tables (a third less at 100,000) or a GPU. In the job one H100 made 12,300 lists/s of a million
  items, where 16 cores made 1,140. Alone it scores 125,000 users/s with 100,000 items and 32,000 with a million
  ([performance](performance.md#on-a-gpu)). A first stage that chooses candidates is not built. A million items
  and a million events a second on CPUs are not sensible.
- **State.** In a savepoint a user takes {user:,} bytes with a step or two and {full_user:,} with fifty; the table
  assumes fifty. RocksDB keeps the state compressed on the TaskManager's disk. Its cache holds active users
  only.
- **Brokers.** An event and its list cost {broker:.0f} us without replication. An event has {event} bytes, a
  list {list:,}.
- **Storefront.** Reading a list from the topic costs {apply:.0f} us, a look-up {lookup:.0f} us, in one process
  with one thread. **Each storefront reads all lists.** One process reaches its limit at some {storefront_limit:,.0f}
  lists/s, and its view holds every user. Beyond that, each storefront would have to read a share of the
  partitions, with look-ups routed by user. That is not built, so the storefronts of the second and third column
  do not exist yet.

## Partitions, parallelism, max-parallelism

The number of partitions and `job.max_parallelism` (720) can never change later, because users would move to
other partitions. Choose the number of partitions for the traffic of the coming years:

- twice the slots that the peak needs;
- a multiple of the parallelisms that you will use: 12, 24, 48, 96, 360, 720;
- the same for all topics keyed by user.

A slot reads nothing if there are more slots than partitions. Above 720 slots set `job.max_parallelism` before
the first submission.

## When to add slots

These signals move in this order. They serve an autoscaler or a person; [operate](operate.md#alerts) has the
alerts.

| signal | means | do |
|---|---|---|
| `liveshelf_batch_size_users` and `liveshelf_waiting_requests` rise, freshness still good | batches grow: the slot is above {planned_rate:,.0f} lists/s | add a slot soon |
| `flink_taskmanager_job_task_operator_pendingRecords` rises for 2 minutes | lag: more events arrive than the job handles | add slots now |
| `liveshelf_fallbacks_total{{cause="deadline"}}` rises | the scorer misses its deadline | add slots, or use a smaller or int8 model |
| less than a third of that traffic for a day | too many slots | remove slots, at a quiet hour |

To change the slots, stop the job with a savepoint and start it from there with another `job.parallelism`. Lists
stop for some 10 to 20 s ([faults](faults.md), *rescaled*). So change it seldom: wait 10 minutes after each
change, and scale by the peak of the day, not by the minute.
"""


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(all_kept()))
