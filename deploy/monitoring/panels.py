"""The panels of the dashboards, by dashboard and row: title, description, unit and PromQL of each."""

from dataclasses import dataclass

ALL = "$__rate_interval"
OPERATOR = "flink_taskmanager_job_task_operator"
REFRESH = '{operator_name="refresh"}'  # the feedback join counts its batches too
EXAMPLES = "example|correction|organic"


@dataclass(frozen=True)
class PanelSpec:
    """One chart. `queries`: legend (Grafana's notation) -> PromQL; `limit`: where it turns red."""

    title: str
    description: str
    unit: str
    queries: dict[str, str]
    limit: float | None = None
    stacked: bool = False
    exemplars: bool = False


@dataclass(frozen=True)
class DashboardSpec:
    """One dashboard: rows of panels."""

    uid: str
    title: str
    description: str
    rows: dict[str, tuple[PanelSpec, ...]]


def _quantiles(metric: str, by: str = "") -> dict[str, str]:
    inside = f"le, {by}" if by else "le"
    return {
        f"p{q}"
        + (
            f" {{{{{by}}}}}" if by else ""
        ): f"histogram_quantile({q / 100}, sum by ({inside}) (rate({metric}_bucket[{ALL}])))"
        for q in (50, 99)
    }


def _mean(metric: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}_sum[{ALL}])) / sum by ({by}) (rate({metric}_count[{ALL}]))"


def _rate(metric: str, by: str = "", selector: str = "") -> str:
    return f"sum{f' by ({by})' if by else ''} (rate({metric}{selector}[{ALL}]))"


def _of_arms(by: str, outcome: str) -> str:
    return _rate("liveshelf_experiment_outcomes_total", by, f'{{outcome{outcome}"impression"}}')


ARM_OUTCOMES = f"{_of_arms('experiment, arm, outcome', '!=')} / on (experiment, arm) group_left () {_of_arms('experiment, arm', '=')}"
FRESHNESS = PanelSpec(
    "Freshness", "From the shopper's event to the emission of its list. The objective: 99 % within 250 ms.", "s",
    _quantiles("liveshelf_freshness_seconds"), 0.25, exemplars=True,
)  # fmt: skip
STAGES = PanelSpec(
    "Where the time goes", "Mean time of each stage of a list; together they are the freshness.", "s",
    {"{{stage}}": "liveshelf:stage_seconds:mean1m"}, stacked=True,
)  # fmt: skip
LISTS = PanelSpec("Lists", "Lists emitted, by source.", "ops", {"{{source}}": _rate("liveshelf_lists_total", "source")})
EVENTS = PanelSpec(
    "Events", "Records read, by outcome.", "ops", {"{{outcome}}": _rate("liveshelf_events_total", "outcome")}
)
LAG = PanelSpec("Lag", "Events that wait in Kafka.", "short", {"waiting": "liveshelf:lag_records"}, 10_000)
SHOPPERS = PanelSpec(
    "Shoppers with a fresh list", "Share of the active shoppers (a sample) who got a list for their newest event in time, as a reader of the topics sees it.",
    "percentunit", {"share": "liveshelf_fresh_users_ratio"},
)  # fmt: skip
CLICKS = PanelSpec(
    "Click-through", "Clicks that name their list, for each list shown, over an hour.", "percentunit",
    {"{{arm}}": "liveshelf:click_through:ratio1h"},
)  # fmt: skip

DASHBOARDS = (
    DashboardSpec("liveshelf-overview", "Liveshelf: overview", "Are lists fresh, are they good, what is wrong?", {
        "Fresh": (FRESHNESS, STAGES, SHOPPERS),
        "Flow": (EVENTS, LISTS, LAG),
        "Good": (
            CLICKS,
            PanelSpec("Lists by the model", "Share of the lists that the model made.", "percentunit",
                      {"share": f"1 - {_rate('liveshelf_fallbacks_total')} / {_rate('liveshelf_lists_total')}"}),
            PanelSpec("Coverage", "Share of the items in stock that were on any recent list.", "percentunit",
                      {"share": "max(liveshelf_slate_coverage_ratio)"}),
        ),
        "Error budgets": (
            PanelSpec("Errors of the last hour", "Share of bad events against each objective: 1 %, 0.5 %, 0.1 %, 1 % are allowed.", "percentunit",
                      {"freshness": "liveshelf:freshness_error_ratio:rate1h", "model": "liveshelf:model_error_ratio:rate1h",
                       "storefront": "liveshelf:storefront_error_ratio:rate1h",
                       "storefront latency": "liveshelf:storefront_latency_error_ratio:rate1h"}),
            PanelSpec("Alerts that fire", "By severity.", "short", {"{{alertname}} {{severity}}": 'sum by (alertname, severity) (ALERTS{alertstate="firing"})'}),
            PanelSpec("Parts", "1: answers.", "short", {"{{job}} {{part}}": "up"}),
        ),
    }),
    DashboardSpec("liveshelf-pipeline", "Liveshelf: pipeline", "The operator, from record to list.", {
        "Time": (
            FRESHNESS, STAGES,
            PanelSpec("Each stage", "p50 and p99 of each stage.", "s", _quantiles("liveshelf_stage_seconds", "stage")),
        ),
        "Micro-batches": (
            PanelSpec("Size", "Mean: users in a micro-batch of the scorer; records and timers in a batch that Java hands to Python.", "short",
                      {"scorer": f"{_rate('liveshelf_batch_size_users_sum')} / {_rate('liveshelf_batch_size_users_count')}",
                       "operator": f"{_rate(f'{OPERATOR}_liveshelfBatchEntries', selector=REFRESH)} / {_rate(f'{OPERATOR}_liveshelfBatches', selector=REFRESH)}"}),
            PanelSpec("Time", "Of a micro-batch, features to lists.", "s", _quantiles("liveshelf_batch_seconds")),
            PanelSpec("Waiting", "Requests that wait for the scorer, and requests replaced by a newer one.", "short",
                      {"waiting": "sum(liveshelf_waiting_requests)", "coalesced/s": _rate("liveshelf_coalesced_total")}),
        ),
        "Input": (
            EVENTS,
            PanelSpec("Types", "Events applied, by type.", "ops", {"{{event_type}}": _rate("liveshelf_accepted_events_total", "event_type")}),
            PanelSpec("Dead letters", "Records refused, by reason, and times that were clamped.", "ops",
                      {"{{reason}}": _rate("liveshelf_dead_letters_total", "reason"), "clamped": _rate("liveshelf_clamped_events_total"),
                       "repaired": _rate("liveshelf_repaired_fields_total")}),
        ),
        "State": (
            PanelSpec("Users", "In the keyed state (RocksDB's estimate).", "short", {"users": "liveshelf:state_users"}),
            PanelSpec("Size", "Of the state on disk.", "bytes", {"bytes": "liveshelf:state_bytes"}),
            PanelSpec("Oldest request", "Age of the oldest unanswered request.", "s", {"age": "max(liveshelf_oldest_waiting_seconds)"}, 0.5),
        ),
    }),
    DashboardSpec("liveshelf-model", "Liveshelf: model and business", "Whether lists are good, by arm.", {
        "Shoppers": (
            CLICKS,
            PanelSpec("Baskets and purchases from lists", "For each list shown, over an hour.", "percentunit",
                      {"carts {{arm}}": "liveshelf:cart_through:ratio1h", "purchases {{arm}}": "liveshelf:purchase_through:ratio1h"}),
            PanelSpec("New users by arm", "Users seen for the first time; the shares of an experiment must hold.", "ops",
                      {"{{experiment}} {{arm}}": _rate("liveshelf_experiment_users_total", "experiment, arm")}),
            PanelSpec("Outcomes by arm", "For each item that a running experiment's lists showed, by what the arm's shoppers did with it.", "percentunit",
                      {"{{experiment}} {{arm}} {{outcome}}": ARM_OUTCOMES}),
        ),
        "Lists": (
            PanelSpec("Diversity", "1 - mean cosine of a list's items.", "short", {"{{arm}}": _mean("liveshelf_slate_diversity", "arm")}),
            PanelSpec("Novelty", "Mean rank of a list's items in the order of popularity.", "percentunit", {"{{arm}}": _mean("liveshelf_slate_novelty", "arm")}),
            PanelSpec("Miscalibration", "KL divergence of a list's categories from the shopper's.", "short", {"{{arm}}": _mean("liveshelf_slate_miscalibration_nats", "arm")}),
        ),
        "Feedback": (
            PanelSpec("Examples", "Examples that went out for the first time, corrections, and outcomes without a list.", "ops",
                      {"{{reason}}": _rate("liveshelf_feedback_total", "reason", f'{{reason=~"{EXAMPLES}"}}')}),
            PanelSpec("Without an example, or with less", "Records and lists that gave no example or one that lacks something, by reason: docs/feedback.md has them.", "ops",
                      {"{{reason}}": _rate("liveshelf_feedback_total", "reason", f'{{reason!~"{EXAMPLES}"}}')}),
            PanelSpec("Shoppers whose lists wait", "Users in the state of the feedback join (RocksDB's estimate), also those whose closed lists it remembers.", "short",
                      {"users": "liveshelf:feedback_users"}),
        ),
        "Model": (
            PanelSpec("Drift", "PSI of the model's inputs and scores against its training window; 0.25: another population.", "short",
                      {"{{feature}}": "max by (feature) (liveshelf_drift_psi)"}, 0.25),
            PanelSpec("Fallbacks", "Fallback lists, by cause.", "ops", {"{{cause}}": _rate("liveshelf_fallbacks_total", "cause")}),
            PanelSpec("Age", "Of the bundle that serves, and of its weights: a light round of the trainer keeps them.", "s",
                      {"bundle": "time() - max(liveshelf_model_created_timestamp_seconds > 0)",
                       "weights": "time() - max(liveshelf_model_trained_timestamp_seconds > 0)"}),
        ),
        "Trainer": (
            PanelSpec("Rounds", "Of the trainer that follows the topics, in an hour, by kind and by what became of them.", "short",
                      {"{{kind}} {{verdict}}": "sum by (kind, verdict) (increase(liveshelf_train_rounds_total[1h])) > 0"}),
            PanelSpec("Without success", "Rounds of weights that the gate refused in a row, and rounds that failed in a row.", "short",
                      {"refused": "max(liveshelf_train_refused_rounds)", "failed": "max(liveshelf_train_failed_rounds)"}, 3),
            PanelSpec("Records", "Read from the topics, by what became of them; lost: they left a topic before.", "ops",
                      {"{{what}}": _rate("liveshelf_train_records_total", "what"),
                       "lost {{topic}}": f"{_rate('liveshelf_train_lost_records_total', 'topic')} > 0"}),
        ),
        "Data": (
            PanelSpec("Expectations not met", "Share of the records that do not meet each expectation.", "percentunit",
                      {"{{topic}} {{expectation}}": f"{_rate('liveshelf_data_failed_total', 'topic, expectation')} / ({_rate('liveshelf_data_checked_total', 'topic, expectation')} > 0)"}, 0.05),
            PanelSpec("Categories", "Events by first level of the item's category.", "ops", {"{{category}}": _rate("liveshelf_data_category_events_total", "category")}),
            PanelSpec("Catalogue", "Items in the catalogue topic and in the model.", "short", {"catalogue": "max(liveshelf_catalogue_items)", "model": "max(liveshelf_model_items)"}),
        ),
    }),
    DashboardSpec("liveshelf-storefront", "Liveshelf: storefront", "The reader.", {
        "Requests": (
            PanelSpec("Rate", "By status.", "reqps", {"{{status}}": _rate("liveshelf_storefront_requests_total", "status")}),
            PanelSpec("Time", "p50 and p99, without the streams.", "s",
                      {k: v.replace("_bucket[", '_bucket{route!~".*/stream"}[') for k, v in _quantiles("liveshelf_storefront_request_seconds").items()}, 0.1),
            PanelSpec("By route", "Requests, by route.", "reqps", {"{{route}}": _rate("liveshelf_storefront_requests_total", "route")}),
        ),
        "Lists": (
            PanelSpec("Freshness here", "From the event to its list readable in the storefront.", "s", _quantiles("liveshelf_storefront_freshness_seconds"), 0.25, exemplars=True),
            PanelSpec("Served", "Lists served, by source; `stranger`: the popular list for an unknown user.", "ops", {"{{source}}": _rate("liveshelf_storefront_lists_served_total", "source")}),
            PanelSpec("Topics read", "Seconds since each topic last answered.", "s", {"lists": "max(liveshelf_storefront_lists_age_seconds)", "catalogue": "max(liveshelf_storefront_catalogue_age_seconds)"}, 60),
        ),
        "Rest": (
            PanelSpec("Events over HTTP", "By outcome.", "ops", {"{{outcome}}": _rate("liveshelf_storefront_events_total", "outcome")}),
            PanelSpec("Streams", "Open SSE streams.", "short", {"streams": "sum(liveshelf_storefront_streams)"}),
            PanelSpec("Process", "CPU of each Python process.", "short", {"{{job}}": f"sum by (job) (rate(process_cpu_seconds_total[{ALL}]))"}),
        ),
    }),
    DashboardSpec("liveshelf-platform", "Liveshelf: Kafka and Flink", "What it stands on.", {
        "Flink": (
            PanelSpec("Checkpoints", "Duration of the last one.", "ms", {"duration": "max(flink_jobmanager_job_lastCheckpointDuration)"}),
            PanelSpec("Checkpoints by outcome", "Since the job's start.", "short",
                      {"completed": "max(flink_jobmanager_job_numberOfCompletedCheckpoints)", "failed": "max(flink_jobmanager_job_numberOfFailedCheckpoints)"}),
            PanelSpec("Restarts", "Since the job's start.", "short", {"restarts": "max(flink_jobmanager_job_numRestarts)"}),
        ),
        "Tasks": (
            PanelSpec("Busy", "Share of the time that each task works.", "percentunit", {"{{task_name}}": "max by (task_name) (flink_taskmanager_job_task_busyTimeMsPerSecond) / 1000"}),
            PanelSpec("Back-pressure", "Share of the time that each task waits for the next one.", "percentunit", {"{{task_name}}": "max by (task_name) (flink_taskmanager_job_task_backPressuredTimeMsPerSecond) / 1000"}),
            PanelSpec("TaskManagers", "JVM heap in use.", "bytes", {"{{part}}": "sum by (part) (flink_taskmanager_Status_JVM_Memory_Heap_Used)"}),
        ),
        "Kafka": (
            PanelSpec("Messages in", "By topic.", "ops", {"{{topic}}": 'sum by (topic) (rate(kafka_topic_messages_in_total{topic=~"shop.*"}[$__rate_interval]))'}),
            PanelSpec("Size of the log", "By topic.", "bytes", {"{{topic}}": 'sum by (topic) (kafka_log_size_bytes{topic=~"shop.*"})'}),
            PanelSpec("Produce requests", "p99 in the broker.", "ms", {"p99": "max(kafka_network_produce_p99_milliseconds)"}),
        ),
        "Machine": (
            PanelSpec("Disk", "Free share of the disk.", "percentunit", {"{{path}}": "liveshelf_disk_free_ratio"}),
            PanelSpec("Memory", "Resident memory of each process of ours, and of the JVM that the operator lives in.", "bytes", {"{{job}}": "sum by (job) (process_resident_memory_bytes)"}),
            PanelSpec("Partitions", "Offline, and with too few copies.", "short", {"offline": "sum(kafka_controller_offline_partitions)", "under-replicated": "sum(kafka_server_under_replicated_partitions)"}, 1),
        ),
    }),
)  # fmt: skip
