"""All alerts: symptoms first, then causes. docs/operate.md has a section on each."""

from deploy.monitoring.alert import Alert
from deploy.monitoring.data_alerts import DATA_ALERTS
from deploy.monitoring.learning_alerts import LEARNING_ALERTS
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
        "Shoppers send events and no list goes out",
        "liveshelf status; liveshelf resume: if no job runs",
        "symptom",
    ),
    Alert(
        "ShoppersWithoutFreshList",
        "liveshelf_fresh_users_ratio < 0.9",
        "2m",
        "page",
        "Fewer than 90 % of the active shoppers have a list for their newest event",
        "open /ops and look at the lag; check that the storefront reads the topic of lists",
        "symptom",
    ),
)

_USERS = "increase(liveshelf_experiment_users_total[@1d@])"
_ALL = f"sum by (experiment) ({_USERS})"
# an arm without a share expects nobody: dividing by it would hide the other arms
_EXPECTED = f"(max by (experiment, arm) (liveshelf_experiment_share > 0) * on (experiment) group_left () {_ALL})"
SAMPLE_RATIO = (
    f"sum by (experiment) ((sum by (experiment, arm) ({_USERS}) - on (experiment, arm) {_EXPECTED}) ^ 2"
    f" / on (experiment, arm) {_EXPECTED}) > 15 and on (experiment) {_ALL} > 1000"
)

BROKER = (
    Alert("BrokerDown", 'up{job="broker"} == 0 or absent(up{job="broker"})', "30s", "page",
          "The broker does not answer", "liveshelf status; liveshelf logs kafka -n 100; df -h .liveshelf/kafka"),
    Alert("PartitionsOffline", "sum(kafka_controller_offline_partitions) > 0", "1m", "page",
          "Partitions have no leader, so the broker refuses their events", "liveshelf logs kafka -n 100: look for a lost disk or a lost broker"),
    Alert("PartitionsUnderReplicated", "sum(kafka_server_under_replicated_partitions) > 0", "5m", "ticket",
          "Partitions have fewer replicas in sync than configured", "check whether a broker of the cluster is down or slow"),
)  # fmt: skip

JOB = (
    Alert("JobNotRunning", 'sum(up{job="operator"}) == 0 or absent(up{job="operator"})', "1m", "page",
          "No operator answers, so the job does not run", "liveshelf status; liveshelf resume; liveshelf submit: if the job has never run"),
    Alert("JobManagerDown", 'up{job="flink",part="jobmanager"} == 0', "1m", "page",
          "The JobManager does not answer", "liveshelf logs jobmanager -n 100"),
    Alert("NoSpareTaskManager", 'sum(up{job="flink",part=~"taskmanager.*"}) < count(up{job="flink",part=~"taskmanager.*"})', "2m", "ticket",
          "A TaskManager is down, so there is no spare for the next failure", "liveshelf logs taskmanager-0 -n 100; liveshelf logs taskmanager-1 -n 100"),
    Alert("JobRestarts", "max(increase(flink_jobmanager_job_numRestarts[@15m@])) >= 3", "0s", "page",
          "The job restarted three times in 15 minutes", "liveshelf logs taskmanager-0: find the first Python traceback; liveshelf dead-letters list"),
    Alert("OwnErrors", "sum by (where) (increase(liveshelf_own_errors_total[@10m@])) > 0", "0s", "page",
          "Liveshelf's own code failed in the operator. Events became dead letters, or lists wait for a retry",
          "liveshelf logs taskmanager-0: find the traceback under \"an error of Liveshelf's own\"; liveshelf dead-letters list: the reason is internal_error"),
    Alert("CheckpointsFail",
          "max(increase(flink_jobmanager_job_numberOfFailedCheckpoints[@5m@])) > 0 unless max(increase(flink_jobmanager_job_numberOfCompletedCheckpoints[@5m@])) > 0",
          "1m", "page", "No checkpoint succeeded for 5 minutes and some failed. More than 20 failures in a row restart the job",
          "df -h: the checkpoints' disk may be full; liveshelf logs jobmanager"),
    Alert("ConsumerLag", "sum(flink_taskmanager_job_task_operator_pendingRecords) > 10000 and deriv(sum(flink_taskmanager_job_task_operator_pendingRecords)[@5m@:@15s@]) >= 0", "5m", "ticket",
          "More than 10,000 events wait, and their number does not fall", "liveshelf stop --savepoint; liveshelf submit --from-savepoint PATH: with a higher job.parallelism"),
    Alert("FallbackSpike", "sum(rate(liveshelf_fallbacks_total[@5m@])) > 0.05 * sum(rate(liveshelf_lists_total[@5m@]))", "2m", "ticket",
          "More than 5 % of the lists are fallbacks", "sum by (cause) (rate(liveshelf_fallbacks_total[5m])): shows the cause; cause deadline: the model is slow or hangs; cause refused: it hangs; cause failed: it raises or gives NaN"),
    Alert("StaleCatalogue", "max(liveshelf_catalogue_age_seconds) > 300", "1m", "ticket",
          "The job has not reached the catalogue topic for 5 minutes", "liveshelf status: the broker may be down; liveshelf topics create: says whether shop.catalogue.v1 is missing"),
    Alert("DriftOfInputs", "max by (feature) (liveshelf_drift_psi) > 0.25", "30m", "ticket",
          "The model's inputs or scores differ from its training data (PSI above 0.25)", "liveshelf profile; liveshelf train: on the newest events"),
    Alert("SampleRatioMismatch",
          SAMPLE_RATIO,
          "10m", "ticket", "The experiment's arms do not have their configured shares of users (chi-square above 15). Do not trust its result",
          "check that all subtasks run the same experiments; check whether one arm lost users"),
)  # fmt: skip

PARTS = (
    Alert("StorefrontDown", 'up{job="storefront"} == 0', "1m", "page",
          "The storefront does not answer", "liveshelf logs storefront -n 100"),
    Alert("StorefrontNotFollowing", "max(liveshelf_storefront_lists_age_seconds) > 60", "1m", "page",
          "The storefront has not reached the topic of lists for a minute. It serves old lists", "liveshelf status; liveshelf logs storefront"),
    Alert("UnreadableLists", 'sum(increase(liveshelf_storefront_refused_lists_total{reason="unreadable"}[@10m@])) > 0', "0s", "ticket",
          "Readers got the popular list, because items of their newest list cannot be decoded. Job and storefront may be of two releases", "liveshelf logs storefront: says which field; upgrade the storefront to the job's release"),
    Alert("MonitorDown", 'up{job="monitor"} == 0', "2m", "ticket",
          "The monitor does not answer. Nothing measures data quality and the freshness that shoppers see", "liveshelf logs monitor -n 100"),
    Alert("ProcessRestarts", "max by (job) (changes(process_start_time_seconds[@15m@])) >= 3", "0s", "ticket",
          "A process started three times in 15 minutes", "liveshelf status; liveshelf logs PART: read its last lines before each start"),
    Alert("DiskFilling", "min by (path) (liveshelf_disk_free_ratio) < 0.1", "5m", "page",
          "Less than 10 % of a disk is free", "df -h; liveshelf tidy --earlier-jobs; remove old savepoints and backups; shorten the retention of shop.events.v1"),
)  # fmt: skip

ALERTS: tuple[Alert, ...] = (*SYMPTOMS, *BROKER, *JOB, *LEARNING_ALERTS, *PARTS, *DATA_ALERTS)
