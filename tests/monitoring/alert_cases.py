"""What must make each alert fire, and what must not: series in promtool's notation over a healthy stack."""

from dataclasses import dataclass, field

# a healthy stack at 10 events a second; a minute a step
UP = {
    'up{job="broker"}': "1x20000",
    'up{job="operator",subtask="0"}': "1x20000",
    'up{job="flink",part="jobmanager"}': "1x20000",
    'up{job="flink",part="taskmanager-0"}': "1x20000",
    'up{job="flink",part="taskmanager-1"}': "1x20000",
    'up{job="storefront"}': "1x20000",
    'up{job="monitor"}': "1x20000",
}
VIEWS = 'liveshelf_accepted_events_total{event_type="view"}'
CARTS = 'liveshelf_accepted_events_total{event_type="add_to_cart"}'
APPLIED, DEAD = 'liveshelf_events_total{outcome="applied"}', 'liveshelf_events_total{outcome="dead"}'
MODEL = 'liveshelf_lists_total{arm="all",source="model"}'
READ, LISTED = (
    f'liveshelf_monitor_records_total{{topic="shop.{topic}.v1"}}' for topic in ("events", "recommendations")
)
FULL_CHECKED, FULL_FAILED = (
    f'liveshelf_data_{what}_total{{topic="shop.recommendations.v1",expectation="full"}}'
    for what in ("checked", "failed")
)
UNREADABLE = 'liveshelf_storefront_refused_lists_total{reason="unreadable"}'
FRESH_ALL, FRESH_GOOD = "liveshelf_freshness_seconds_count", 'liveshelf_freshness_seconds_bucket{le="0.25"}'
HEALTHY = UP | {
    VIEWS: "0+480x20000",
    CARTS: "0+120x20000",
    APPLIED: "0+600x20000",
    DEAD: "0+0x20000",
    MODEL: "0+600x20000",
    'liveshelf_fallbacks_total{cause="deadline"}': "0+0x20000",
    READ: "0+600x20000",
    LISTED: "0+600x20000",
    FRESH_ALL: "0+600x20000",
    FRESH_GOOD: "0+600x20000",
    "liveshelf_fresh_users_ratio": "1x20000",
    'liveshelf_model_info{name="m",version="1"}': "1x20000",
    "liveshelf_catalogue_age_seconds": "1x20000",
    'liveshelf_drift_psi{feature="top_score"}': "0.05x20000",
    'liveshelf_disk_free_ratio{path="data"}': "0.5x20000",
    "liveshelf_storefront_lists_age_seconds": "1x20000",
    'liveshelf_storefront_requests_total{route="/v1/x",status="200"}': "0+6000x20000",
    'liveshelf_storefront_requests_total{route="/v1/x",status="503"}': "0+0x20000",
    'liveshelf_storefront_request_seconds_count{route="/v1/x"}': "0+6000x20000",
    'liveshelf_storefront_request_seconds_bucket{route="/v1/x",le="0.1"}': "0+6000x20000",
    UNREADABLE: "0+0x20000",
    "flink_jobmanager_job_numRestarts": "0x20000",
    "flink_jobmanager_job_numberOfFailedCheckpoints": "0x20000",
    "flink_jobmanager_job_numberOfCompletedCheckpoints": "0+12x20000",
    "flink_taskmanager_job_task_operator_pendingRecords": "0x20000",
    'process_start_time_seconds{job="monitor"}': "1000x20000",
    "kafka_controller_offline_partitions": "0x20000",
    "kafka_server_under_replicated_partitions": "0x20000",
    'liveshelf_data_checked_total{topic="shop.events.v1",expectation="known_item"}': "0+600x20000",
    'liveshelf_data_checked_total{topic="shop.events.v1",expectation="price_agrees"}': "0+600x20000",
    'liveshelf_data_checked_total{topic="shop.events.v1",expectation="on_time"}': "0+600x20000",
    FULL_CHECKED: "0+600x20000",
    FULL_FAILED: "0+0x20000",
    "liveshelf_catalogue_unreadable_items": "0x20000",
    'liveshelf_data_failed_total{topic="shop.events.v1",expectation="known_item"}': "0+0x20000",
    'liveshelf_data_failed_total{topic="shop.events.v1",expectation="price_agrees"}': "0+0x20000",
    'liveshelf_data_failed_total{topic="shop.events.v1",expectation="on_time"}': "0+0x20000",
    'liveshelf_data_category_events_total{category="Toys"}': "0+300x20000",
    'liveshelf_data_category_events_total{category="Garden"}': "0+60x20000",
    'liveshelf_slate_impressions_total{arm="all"}': "0+60x20000",
    'liveshelf_slate_actions_total{arm="all",event_type="click"}': "0+6x20000",
}
WEEK = 7 * 24 * 60


@dataclass(frozen=True)
class Case:
    """`series` replace those of the healthy stack; `fires`: (alert, severity) that fire at minute `at`, and no other."""

    name: str
    series: dict[str, str]
    fires: set[tuple[str, str]] = field(default_factory=set)
    at: int = 60


def page(*names: str) -> set[tuple[str, str]]:
    return {(name, "page") for name in names}


def ticket(*names: str) -> set[tuple[str, str]]:
    return {(name, "ticket") for name in names}


def failing(expectation: str, share: float) -> dict[str, str]:
    return {
        f'liveshelf_data_failed_total{{topic="shop.events.v1",expectation="{expectation}"}}': f"0+{600 * share:.0f}x20000"
    }


def fallbacks(share: float) -> dict[str, str]:
    return {'liveshelf_fallbacks_total{cause="deadline"}': f"0+{600 * share:g}x20000"}


def good(share: float) -> dict[str, str]:
    return {FRESH_GOOD: f"0+{600 * share:g}x20000"}


def answered(status: str, share: float) -> dict[str, str]:
    name = f'liveshelf_storefront_requests_total{{route="/v1/x",status="{status}"}}'
    return {name: f"0+{6000 * share:g}x20000"}


def quick(share: float) -> dict[str, str]:
    return {'liveshelf_storefront_request_seconds_bucket{route="/v1/x",le="0.1"}': f"0+{6000 * share:g}x20000"}


def arms(control: int, treatment: int) -> dict[str, str]:
    users, share = "liveshelf_experiment_users_total", "liveshelf_experiment_share"
    return {
        f'{users}{{arm="control"}}': f"0+{control}x20000",
        f'{users}{{arm="treatment"}}': f"0+{treatment}x20000",
        f'{share}{{arm="control"}}': "0.5x20000",
        f'{share}{{arm="treatment"}}': "0.5x20000",
    }


def trains(
    refused: str = "0x20000", failed: str = "0x20000", lost: str = "0x20000", weights: str = "1x20000"
) -> dict[str, str]:
    return {
        "liveshelf_train_refused_rounds": refused,
        "liveshelf_train_failed_rounds": failed,
        'liveshelf_train_lost_records_total{topic="shop.events.v1"}': lost,
        "liveshelf_train_weights_timestamp_seconds": weights,
        "liveshelf_train_weights_every_seconds": "3600x20000",
    }


TRAINED = "liveshelf_model_trained_timestamp_seconds"
PENDING = "flink_taskmanager_job_task_operator_pendingRecords"
FAILED_CHECKPOINTS = "flink_jobmanager_job_numberOfFailedCheckpoints"
DONE_CHECKPOINTS = "flink_jobmanager_job_numberOfCompletedCheckpoints"
CLICKS = 'liveshelf_slate_actions_total{arm="all",event_type="click"}'
GARDEN = 'liveshelf_data_category_events_total{category="Garden"}'
KEPT = f"0+480x{WEEK}"

CASES = (
    Case("healthy", {}),
    Case("healthy for a week and more", {}, at=WEEK + 300),
    # freshness: page, ticket, neither; and a burst that is over
    Case("a fifth of the lists is late", good(0.8), page("FreshnessBudgetBurn"), at=120),
    Case("a fifth of the lists is late on a stack of 20 minutes", good(0.8), at=20),
    Case("a fifth late for more than a day", good(0.8), page("FreshnessBudgetBurn") | ticket("FreshnessBudgetBurn"), at=1620),
    Case("4 % are late for a day", good(0.96), ticket("FreshnessBudgetBurn"), at=1620),
    Case("half a percent is late", good(0.995), at=4980),
    Case("half an hour of late lists, an hour ago", {FRESH_GOOD: "0+480x30 14400+600x20000"}, at=120),
    Case("a tenth of the lists by fallbacks", fallbacks(0.1), page("ModelListsBudgetBurn") | ticket("FallbackSpike"), at=120),
    Case("2 % by fallbacks for a day", fallbacks(0.02), ticket("ModelListsBudgetBurn"), at=1620),
    Case("a few fallbacks", fallbacks(0.001), at=1620),
    Case("2 % server errors", answered("503", 0.02), page("StorefrontErrorsBudgetBurn"), at=120),
    Case("0.4 % server errors", answered("503", 0.004), ticket("StorefrontErrorsBudgetBurn"), at=1620),
    Case("many refused events are no server errors", answered("422", 0.3), at=120),
    Case("a fifth of the requests is slow", quick(0.8), page("StorefrontSlowBudgetBurn"), at=120),
    Case("4 % are slow", quick(0.96), ticket("StorefrontSlowBudgetBurn"), at=1620),
    Case("events and no lists", {LISTED: "0x20000", "liveshelf_fresh_users_ratio": "0x20000"},
         page("ListsStopped", "ShoppersWithoutFreshList")),
    Case("impressions alone make no lists", {LISTED: "0x20000", "liveshelf_fresh_users_ratio": "_x20000"}),
    Case("a shop at night", {READ: "0x20000", LISTED: "0x20000", "liveshelf_fresh_users_ratio": "_x20000"}),
    Case("a fifth of the shoppers waits", {"liveshelf_fresh_users_ratio": "0.8x20000"}, page("ShoppersWithoutFreshList")),
    # causes
    Case("the broker is dead", {'up{job="broker"}': "0x20000"}, page("BrokerDown")),
    Case("the broker was away for 20 s", {'up{job="broker"}': "1x59 0 1x20000"}),
    Case("a partition without a leader", {"kafka_controller_offline_partitions": "1x20000"}, page("PartitionsOffline")),
    Case("a replica is behind", {"kafka_server_under_replicated_partitions": "2x20000"}, ticket("PartitionsUnderReplicated")),
    Case("no operator", {'up{job="operator",subtask="0"}': "0x20000"}, page("JobNotRunning")),
    Case("no JobManager", {'up{job="flink",part="jobmanager"}': "0x20000"}, page("JobManagerDown")),
    Case("no spare", {'up{job="flink",part="taskmanager-1"}': "0x20000"}, ticket("NoSpareTaskManager")),
    Case("an error of our own", {'liveshelf_own_errors_total{where="record"}': "0x58 1x20000"}, page("OwnErrors")),
    Case("restarts", {"flink_jobmanager_job_numRestarts": "0x50 1 2 3 4 5x20000"}, page("JobRestarts")),
    Case("one restart", {"flink_jobmanager_job_numRestarts": "0x50 1x20000"}),
    Case("checkpoints fail", {FAILED_CHECKPOINTS: "0+2x20000", DONE_CHECKPOINTS: "5x20000"}, page("CheckpointsFail")),
    Case("some checkpoints fail", {FAILED_CHECKPOINTS: "0+1x20000"}),
    Case("lag grows", {PENDING: "0+1000x20000"}, ticket("ConsumerLag")),
    Case("a backlog that shrinks", {PENDING: "90000-1000x80"}, at=20),
    Case("a tenth by fallbacks for 20 minutes", {'liveshelf_fallbacks_total{cause="failed"}': "0x55 0+60x20000"}, ticket("FallbackSpike"), at=75),
    Case("a refused bundle", {'liveshelf_model_info{name="m",version="1"}': "0x20000"}, page("ModelRefused")),
    Case("a model of 20 days", {TRAINED: f"{-20 * 86400 + 3600}x20000"}, at=90),
    Case("old weights in a new bundle", {TRAINED: "1x20000", "liveshelf_model_created_timestamp_seconds": f"{13 * 86400}+60x20000"}, ticket("StaleModel"), at=14 * 24 * 60 + 120),
    Case("a model of 13 days", {TRAINED: "1x20000"}, at=13 * 24 * 60),
    Case("the gate refuses weights", trains(refused="0x60 1x60 2x60 3x20000"), ticket("WeightsNotPromoted"), at=240),
    Case("the gate refused weights twice", trains(refused="2x20000"), at=240),
    Case("weights are promoted again", trains(refused="3x200 0x20000"), at=240),
    Case("the gate refuses weights that are newer than three cadences", trains(refused="3x20000", weights="12000x20000"), at=240),
    Case("a quiet shop, whose rounds wait", trains(), at=240),
    Case("rounds fail", trains(failed="0x60 1+1x20000"), ticket("TrainingRoundsFail"), at=75),
    Case("a round failed", trains(failed="1x20000"), at=75),
    Case("the trainer loses records", trains(lost="0x50 700x20000"), ticket("TrainerLosesRecords")),
    Case("no catalogue", {"liveshelf_catalogue_age_seconds": "400x20000"}, ticket("StaleCatalogue")),
    Case("drift", {'liveshelf_drift_psi{feature="top_score"}': "0.6x20000"}, ticket("DriftOfInputs")),
    Case("drift for a moment", {'liveshelf_drift_psi{feature="top_score"}': "0.05x50 0.6x5 0.05x20000"}),
    Case("clicks halve", {CLICKS: f"0+6x{WEEK} {6 * WEEK}+2x20000"}, ticket("ClickThroughDropped"), at=WEEK + 1530),
    Case("clicks fall a little", {CLICKS: f"0+6x{WEEK} {6 * WEEK}+4x20000"}, at=WEEK + 1530),
    Case("arms out of ratio", arms(10, 8), ticket("SampleRatioMismatch"), at=1530),
    Case("arms in ratio", arms(10, 10), at=1530),
    Case("no storefront", {'up{job="storefront"}': "0x20000"}, page("StorefrontDown")),
    Case("the storefront does not follow", {"liveshelf_storefront_lists_age_seconds": "100x20000"}, page("StorefrontNotFollowing")),
    Case("lists that no reader can decode", {UNREADABLE: "0+1x20000"}, ticket("UnreadableLists")),
    Case("lists that are no lists when they arrive", {UNREADABLE.replace("unreadable", "not_a_list"): "0+1x20000"}),
    Case("no monitor", {'up{job="monitor"}': "0x20000"}, ticket("MonitorDown")),
    Case("a part starts again and again", {'process_start_time_seconds{job="monitor"}': "0+60x20000"}, ticket("ProcessRestarts")),
    Case("a full disk", {'liveshelf_disk_free_ratio{path="data"}': "0.05x20000"}, page("DiskFilling")),
    # the data
    Case("views halved", {VIEWS: f"{KEPT} {480 * WEEK}+240x20000"}, ticket("VolumeAnomaly"), at=WEEK + 180),
    Case("views a fifth down", {VIEWS: f"{KEPT} {480 * WEEK}+384x20000"}, at=WEEK + 180),
    Case("views times four", {VIEWS: f"{KEPT} {480 * WEEK}+1920x20000"}, ticket("VolumeAnomaly"), at=WEEK + 180),
    Case("2 % refused", {DEAD: "0+12x20000"}, ticket("DeadLetterSpike")),
    Case("a few refused", {DEAD: "0+1x20000"}),
    Case("an item's record cannot be read", {"liveshelf_catalogue_unreadable_items": "0x50 1x20000"}, ticket("CatalogueRefused")),
    Case("empty lists", {FULL_FAILED: "0+600x20000"}, page("ShortLists")),
    Case("a few short lists", {FULL_FAILED: "0+12x20000"}),
    Case("prices times 100", failing("price_agrees", 1), ticket("PricesDisagree")),
    Case("a few odd prices", failing("price_agrees", 0.02)),
    Case("a category gone", {GARDEN: f"0+60x{WEEK} {60 * WEEK}x20000"}, ticket("CategoryMissing"), at=WEEK + 180),
    Case("a category gone, its series too", {GARDEN: f"0+60x{WEEK}"}, ticket("CategoryMissing"), at=WEEK + 180),
    Case("a category half as often", {GARDEN: f"0+60x{WEEK} {60 * WEEK}+30x20000"}, at=WEEK + 180),
    Case("unknown items", failing("known_item", 0.4), ticket("UnknownItems")),
    Case("some unknown items", failing("known_item", 0.1)),
    Case("late events", failing("on_time", 0.2), ticket("DataExpectationFails")),
    Case("some late events", failing("on_time", 0.02)),
)  # fmt: skip
