"""All alerts: symptoms first, then causes. docs/operate.md has a section on each."""

from deploy.monitoring.alert import Alert
from deploy.monitoring.data_alerts import DATA_ALERTS
from deploy.monitoring.objectives import OBJECTIVES, burn_alerts

SYMPTOMS = (
    *(alert for objective in OBJECTIVES for alert in burn_alerts(objective)),
    Alert(
        "ListsStopped",
        '(sum(rate(liveshelf_monitor_records_total{topic="shop.events.v1"}[@1m@])) > 0'
        ' unless sum(rate(liveshelf_monitor_records_total{topic="shop.recommendations.v1"}[@1m@])) > 0)'
        # impressions and duplicates alone make no list
        " and on () liveshelf_fresh_users_ratio < 0.5",
        "1m",
        "page",
        "Shoppers do things and no list goes out",
        "liveshelf status; where no job runs: liveshelf resume",
        "symptom",
    ),
    Alert(
        "ShoppersWithoutFreshList",
        "liveshelf_fresh_users_ratio < 0.9",
        "2m",
        "page",
        "Less than 90 % of the active shoppers have a list of their newest event",
        "open /ops: is there lag, or does the storefront not follow?",
        "symptom",
    ),
)

_USERS = "increase(liveshelf_experiment_users_total[@1d@])"
_EXPECTED = f"(max by (arm) (liveshelf_experiment_share) * scalar(sum({_USERS})))"
SAMPLE_RATIO = (
    f"sum((sum by (arm) ({_USERS}) - on (arm) {_EXPECTED}) ^ 2 / on (arm) {_EXPECTED}) > 15 and sum({_USERS}) > 1000"
)

BROKER = (
    Alert("BrokerDown", 'up{job="broker"} == 0 or absent(up{job="broker"})', "30s", "page",
          "The broker does not answer", "liveshelf status; liveshelf logs kafka -n 100; df -h .liveshelf/kafka"),
    Alert("PartitionsOffline", "sum(kafka_controller_offline_partitions) > 0", "1m", "page",
          "Partitions have no leader: their events are not taken", "liveshelf logs kafka -n 100: a disk or another broker is gone"),
    Alert("PartitionsUnderReplicated", "sum(kafka_server_under_replicated_partitions) > 0", "5m", "ticket",
          "Partitions have fewer copies than they should", "is a broker of the cluster down or slow?"),
)  # fmt: skip

JOB = (
    Alert("JobNotRunning", 'sum(up{job="operator"}) == 0 or absent(up{job="operator"})', "1m", "page",
          "No operator answers: the job does not run", "liveshelf status; liveshelf resume, or liveshelf submit where none ran before"),
    Alert("JobManagerDown", 'up{job="flink",part="jobmanager"} == 0', "1m", "page",
          "The JobManager does not answer", "liveshelf logs jobmanager -n 100"),
    Alert("NoSpareTaskManager", 'sum(up{job="flink",part=~"taskmanager.*"}) < count(up{job="flink",part=~"taskmanager.*"})', "2m", "ticket",
          "A TaskManager is down: the next that dies has no spare", "liveshelf logs taskmanager-0 -n 100, and -1"),
    Alert("JobRestarts", "max(increase(flink_jobmanager_job_numRestarts[@15m@])) >= 3", "0s", "page",
          "The job was restarted three times in 15 minutes", "liveshelf logs taskmanager-0: the first Python traceback; liveshelf dead-letters list"),
    Alert("OwnErrors", "sum by (where) (increase(liveshelf_own_errors_total[@10m@])) > 0", "0s", "page",
          "Liveshelf's own code failed in the operator: events became dead letters, or lists wait for another try",
          "liveshelf logs taskmanager-0: the traceback under \"an error of Liveshelf's own\"; liveshelf dead-letters list: internal_error"),
    Alert("CheckpointsFail",
          "max(increase(flink_jobmanager_job_numberOfFailedCheckpoints[@5m@])) > 0 unless max(increase(flink_jobmanager_job_numberOfCompletedCheckpoints[@5m@])) > 0",
          "1m", "page", "No checkpoint was completed for 5 minutes, and some failed: 20 in a row restart the job",
          "df -h on the checkpoints' disk; liveshelf logs jobmanager"),
    Alert("ConsumerLag", "sum(flink_taskmanager_job_task_operator_pendingRecords) > 10000 and deriv(sum(flink_taskmanager_job_task_operator_pendingRecords)[@5m@:@15s@]) >= 0", "5m", "ticket",
          "More than 10,000 events wait, and no fewer than before", "more parallelism: liveshelf stop --savepoint, then submit --from-savepoint with job.parallelism"),
    Alert("FallbackSpike", "sum(rate(liveshelf_fallbacks_total[@5m@])) > 0.05 * sum(rate(liveshelf_lists_total[@5m@]))", "2m", "ticket",
          "More than 5 % of the lists are fallbacks", "sum by (cause) (rate(liveshelf_fallbacks_total[5m])): deadline: slow or hanging; refused: hanging; failed: raises or NaN"),
    Alert("ModelRefused", "min(liveshelf_model_info) == 0", "0s", "page",
          "The bundle failed a check on the TaskManager: everyone gets fallbacks", "liveshelf bundle verify; submit another bundle"),
    Alert("StaleModel", "time() - max(liveshelf_model_created_timestamp_seconds > 0) > 14 * 86400", "1h", "ticket",
          "The model is older than 14 days", "liveshelf train on newer events (liveshelf events --out), then submit --bundle"),
    Alert("StaleCatalogue", "max(liveshelf_catalogue_age_seconds) > 300", "1m", "ticket",
          "The job has not heard of the catalogue for 5 minutes", "is the broker up? does shop.catalogue.v1 exist? liveshelf topics create says what is missing"),
    Alert("DriftOfInputs", "max by (feature) (liveshelf_drift_psi) > 0.25", "30m", "ticket",
          "What the model sees or says is not what it learned from (PSI above 0.25)", "liveshelf profile; train on the newest events"),
    Alert("ClickThroughDropped",
          "sum by (arm) (rate(liveshelf_slate_actions_total{event_type=\"click\"}[@1d@])) / sum by (arm) (rate(liveshelf_slate_impressions_total[@1d@])) < 0.5 * "
          "(sum by (arm) (rate(liveshelf_slate_actions_total{event_type=\"click\"}[@1d@] offset @1w@)) / sum by (arm) (rate(liveshelf_slate_impressions_total[@1d@] offset @1w@)))",
          "1h", "ticket", "Shoppers click less than half as often as a week ago", "which model serves since when? submit the bundle before"),
    Alert("SampleRatioMismatch",
          SAMPLE_RATIO,
          "10m", "ticket", "The arms of the experiment do not have their shares of users (chi-square above 15): its result is not to be trusted",
          "do all subtasks run with the same [experiment]? were users lost in one arm?"),
)  # fmt: skip

PARTS = (
    Alert("StorefrontDown", 'up{job="storefront"} == 0', "1m", "page",
          "The storefront does not answer", "liveshelf logs storefront -n 100"),
    Alert("StorefrontNotFollowing", "max(liveshelf_storefront_lists_age_seconds) > 60", "1m", "page",
          "The storefront serves lists of a minute ago or more: it does not reach the broker", "liveshelf status; liveshelf logs storefront"),
    Alert("MonitorDown", 'up{job="monitor"} == 0', "2m", "ticket",
          "The monitor does not answer: freshness as shoppers have it and data quality are not watched", "liveshelf logs monitor -n 100"),
    Alert("ProcessRestarts", "max by (job) (changes(process_start_time_seconds[@15m@])) >= 3", "0s", "ticket",
          "A process was started three times in 15 minutes", "liveshelf status; liveshelf logs PART: its last lines before each start"),
    Alert("DiskFilling", "min by (path) (liveshelf_disk_free_ratio) < 0.1", "5m", "page",
          "Less than 10 % of a disk is free", "df -h; liveshelf tidy --earlier-jobs; shorter retention of shop.events.v1, older savepoints and backups away"),
)  # fmt: skip

ALERTS: tuple[Alert, ...] = (*SYMPTOMS, *BROKER, *JOB, *PARTS, *DATA_ALERTS)
