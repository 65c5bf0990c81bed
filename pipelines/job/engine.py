"""Flink's settings for the job, and why each differs from the default."""

from operators.errors import SettingsError
from operators.experiments.assignment import plans_of
from operators.feedback.join_limits import LONGEST_JOINED
from operators.settings import JobSettings, Settings

EXECUTION_MODE = "thread"
# The execution mode is part of the state's identity: a savepoint taken in process mode would restore to empty
# state without an error. With the mode in the uid Flink itself refuses it.
STATE_UID = f"user-state-{EXECUTION_MODE}"
FEEDBACK_UID = f"feedback-state-{EXECUTION_MODE}"
DEMAND_UID = f"demand-state-{EXECUTION_MODE}"
CHECKPOINT_TIMEOUT_MS = 120_000


def flink_options(settings: Settings) -> dict[str, str]:
    """The job's configuration; the table `[flink]` of liveshelf.toml wins, except for the execution mode."""
    options = {
        "python.execution-mode": EXECUTION_MODE,  # process mode: 480 events/s, p50 2-5 s
        "pipeline.name": settings.job.name,
        "parallelism.default": str(settings.job.parallelism),
        "pipeline.max-parallelism": str(settings.job.max_parallelism),  # can never change later: rescaling needs it
        # each record goes on at once: a flush every millisecond instead made lists later, cost two threads that never rest,
        # and gained no throughput (docs/notebook/freshness.md)
        "execution.buffer-timeout.interval": "0 ms",
        "pipeline.object-reuse": "true",  # nothing in this graph keeps a record
        "execution.checkpointing.interval": f"{settings.job.checkpoint_interval_ms} ms",
        "execution.checkpointing.incremental": "true",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.timeout": f"{CHECKPOINT_TIMEOUT_MS} ms",
        "execution.checkpointing.tolerable-failed-checkpoints": "20",  # a full disk is an alarm, not an outage
        # timers on the heap are written while the task waits, and what fails there fails the task: with a full disk it
        # restarted again and again. Small as they are they travel in the metadata, and no file is opened for them
        "execution.checkpointing.data-inline-threshold": "1 mb",
        "state.backend.type": "rocksdb",
        "state.backend.rocksdb.timer-service.factory": "HEAP",  # on RocksDB timers are slow
        # the index of a file of half a million shoppers is one block of 5 MB, more than a shard of the block cache holds: it
        # was read anew for each event, and 600,000 shoppers were served at 140 events/s instead of 5,000
        "state.backend.rocksdb.memory.partitioned-index-filters": "true",
        "state.backend.rocksdb.use-bloom-filter": "true",  # a new shopper's look-up would search every file
        # by levels, each fourth checkpoint rewrote the state of everyone: all of it fits into the first level, for it
        # compresses well. At 700,000 shoppers that took a fifth of a core, at two million half of one
        "state.backend.rocksdb.compaction.style": "UNIVERSAL",
        # RocksDB's own counters, for the size of the state and its cache; each costs a property read a scrape
        "state.backend.rocksdb.metrics.estimate-num-keys": "true",
        "state.backend.rocksdb.metrics.total-sst-files-size": "true",
        "state.backend.rocksdb.metrics.block-cache-usage": "true",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "500 ms",
        "restart-strategy.exponential-delay.max-backoff": "15 s",
        "restart-strategy.exponential-delay.reset-backoff-threshold": "60 s",
    }
    if settings.job.delivery == "exactly-once" or settings.feedback.enabled:
        _check_transactions(settings.job)
    if settings.feedback.enabled and settings.lists.size > LONGEST_JOINED:
        raise SettingsError(
            f"lists.size of at most {LONGEST_JOINED} where feedback.enabled is set",
            str(settings.lists.size),
            "set it lower, or unset feedback.enabled: the join keeps several lists of each shopper",
        )
    plans_of(settings.experiment)  # a bad one is refused here: the job would restart for ever
    own = dict(settings.flink)
    mode = own.get("python.execution-mode", EXECUTION_MODE)
    if mode != EXECUTION_MODE:
        raise SettingsError(
            f"python.execution-mode = {EXECUTION_MODE}", mode, "remove the key from [flink]: state depends on the mode"
        )
    return options | own


def _check_transactions(job: JobSettings) -> None:
    """A transaction is open from one checkpoint to the end of the next: for longer than that it must live."""
    longest = job.checkpoint_interval_ms + CHECKPOINT_TIMEOUT_MS
    if job.transaction_timeout_ms <= longest:
        raise SettingsError(
            f"job.transaction_timeout_ms above {longest} (checkpoint interval and time-out)",
            str(job.transaction_timeout_ms),
            "set it higher, up to the broker's transaction.max.timeout.ms, or make checkpoints more often",
        )
