"""The scorer process of one subtask: `python -P -m pipelines.scoring.main FD`, started by `pipelines.scoring.process`.

It makes lists from micro-batches and does nothing else: no broker, no state, no clock but the machine's. A crash or a hang
in native code ends this process and not the job, and its Python runs in parallel with the operator's.
"""

import contextlib
import fcntl
import gc
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from operators.demand.popularity import Orders
from operators.errors import BundleError, StackError
from operators.experiments.assignment import Experiments
from operators.experiments.plan import ExperimentPlan
from operators.exploration.pool import Pool
from operators.kafka_io.catalogue_rows import GONE, read_row
from operators.lists.catalogue import Catalogue
from operators.lists.encoded_list import Encoded
from operators.lists.list_maker import ListMaker
from operators.lists.list_sensors import NullListSensors
from operators.lists.request import Request
from operators.model.gpu.cuda_batches import reason_of
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer
from operators.refresh.batch_scorer import score_each
from operators.refresh.crash_journal import CrashJournal
from operators.settings import Settings
from operators.telemetry.chosen_sensors import chosen
from operators.telemetry.logs import configure
from operators.telemetry.metrics_server import MetricsServer
from pipelines.scoring.cache_metrics import CacheMetrics
from pipelines.scoring.message_socket import MessageSocket
from pipelines.scoring.orders_feed import unpacked
from pipelines.scoring.slate_metrics import SlateMetrics
from pipelines.scoring.wire import (
    DELISTED,
    TARGET_FILE,
    Batch,
    BatchAnswer,
    CatalogueChange,
    Handshake,
    Ready,
    batch_of,
    handshake_of,
    pack,
    ready_lacking,
)

log = logging.getLogger(__name__)
DEVICE_LOST = 3  # exit code


class ScorerService:
    """Bundle, catalogue and journal of the process."""

    def __init__(self, handshake: Handshake) -> None:
        """Raises `BundleError` where the bundle must not serve, `StackError` where the machine lacks what it needs."""
        settings = settings_of(handshake)
        bundle = ModelBundle.load(Path(handshake.bundle), settings.bundle.required_keys)
        self._scorer = scorer = Scorer(bundle, settings.scorer)
        self.ready = Ready(scorer.provider, scorer.provider_reason)
        self.kill_after_s = settings.scorer.kill_after_ms / 1000
        self._catalogue = Catalogue(bundle.vocabulary, settings.lists.catalogue_coverage)
        self._orders: Orders | None = None
        self._pool: Pool | None = None
        self._experiments, registry = Experiments(settings.experiment), CollectorRegistry()
        self._slates = SlateMetrics(registry, self._experiments)
        self._slates.measure_bundle(bundle, self._catalogue)
        cache_metrics = CacheMetrics(registry)
        if scorer.cache is not None:
            cache_metrics.measure(scorer.cache)
        sensors = chosen(self._slates, NullListSensors())
        self._lists = ListMaker(
            bundle,
            scorer,
            self._catalogue,
            settings.lists,
            lambda: time.time_ns() // 1_000_000,
            self._experiments,
            sensors,
            with_facts=settings.feedback.enabled,
            live=lambda: self._orders,
            exploration=settings.exploration,
            pool=lambda: self._pool,
        )
        self._audited = settings.job.state_digests
        self._journal = CrashJournal(Path(handshake.journal), time.time)
        job, file_name = settings.job, TARGET_FILE.format(subtask=handshake.subtask)
        labels = {"job": "scorer", "subtask": handshake.subtask}
        targets_file = Path(job.metrics_targets_dir) / file_name if job.metrics_targets_dir else None
        self._server = MetricsServer(registry, job.metrics_host, settings.scorer.metrics_port, targets_file, labels)

    def apply_catalogue(self, changes: Sequence[CatalogueChange]) -> None:
        """Applies catalogue changes; the next list follows them."""
        for key, record in changes:
            if not record:
                self._catalogue.changed(key, None if record is DELISTED else GONE)
            elif item := read_row(record):
                self._catalogue.changed(key, item)

    def apply_demand(self, batch: Batch) -> None:
        """Applies the newest orders of items and the newest pool of a batch; what it lacks stays."""
        if batch.orders is not None:
            self._orders = unpacked(batch.orders)
        if batch.pool is not None:
            self._pool = batch.pool
            self._slates.on_pool(batch.pool)

    def apply_experiments(self, plans: Sequence[ExperimentPlan] | None) -> None:
        """These experiments run from now on; None: they stay."""
        if plans is not None:
            self._experiments.run(plans)

    def make(self, requests: Sequence[Request]) -> BatchAnswer:
        """The lists of a micro-batch."""
        started_at = time.time()
        lists = [_on_the_wire(answer) for answer in score_each(requests, self._score)]
        return BatchAnswer(started_at, max(started_at, self._slates.scored_at), lists)

    def close(self) -> None:
        """Releases the journal, the port of the metrics and Prometheus' target: nobody takes this role any more."""
        self._journal.close()
        self._server.withdraw()
        threading.Thread(target=self._server.close, daemon=True).start()  # it takes half a second

    def _score(self, requests: Sequence[Request]) -> list[Encoded | Exception]:
        try:
            return self._journal.score(requests, self._make)
        except Exception:
            log.exception("a micro-batch failed")
            raise

    def _make(self, requests: Sequence[Request]) -> list[Encoded | Exception]:
        try:
            return self._lists.make_encoded(requests, with_digest=self._audited)
        except Exception as error:
            if self._scorer.works():
                raise
            # only a new process can use the device again; the requests stay in the journal: one of them may have broken it
            log.critical("the device no longer answers and this process ends: %s", reason_of(error))
            os._exit(DEVICE_LOST)


def _on_the_wire(answer: Encoded | Exception) -> Encoded | str:
    if isinstance(answer, Exception):
        log.error("a user has no list of the model: %s", type(answer).__name__)  # its text names the user
        return repr(answer)[:300]
    return answer


def settings_of(handshake: Handshake) -> Settings:
    """The job's settings. Raises `StackError` where they are those of another release."""
    try:
        return Settings.of_dump(handshake.settings)
    except KeyError as error:
        came = f"none of the table {error}"
    except ValidationError as error:  # its text holds values, which may be secret
        came = f"others in {error.title}: {', '.join(str(place['loc']) for place in error.errors()[:5])}"
    raise StackError("settings that the scorer process knows", came, "run job and scorer service of one release")


def open_service(handshake: Handshake) -> tuple[ScorerService | None, Ready]:
    """The service, and the answer to the handshake; no service where the bundle is refused or the machine lacks something."""
    try:
        lists = ScorerService(handshake)
    except BundleError as error:
        return None, Ready(refused=str(error))
    except StackError as error:
        return None, ready_lacking(error)
    log.info("scoring on %s: %s", lists.ready.provider, lists.ready.provider_reason)
    gc.collect()
    gc.freeze()  # the bundle stays in memory for good
    return lists, lists.ready


def serve(operator: MessageSocket) -> None:
    """Answers until the operator closes the connection."""
    lists, ready = open_service(handshake_of(operator.receive() or b""))
    operator.send(pack(ready))
    with contextlib.suppress(EOFError, ConnectionError):
        while lists is not None:
            batch = batch_of(operator.receive() or b"")
            lists.apply_catalogue(batch.catalogue)
            lists.apply_demand(batch)
            lists.apply_experiments(batch.experiments)
            if batch.requests:
                operator.send(pack(lists.make(batch.requests)))


def end_with_the_holder_of(pipe: int) -> None:
    """The kernel kills this process when the last holder of the pipe's other end is gone; nothing is written to the pipe.

    A signal of the kernel, not a thread that reads: native code may hang while it holds the interpreter's lock, and no
    thread runs then. Not PR_SET_PDEATHSIG: it strikes when the *thread* ends that started the process, and a scorer
    thread is replaced while its operator lives.
    """
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    already = select.poll()
    already.register(pipe, 0)  # POLLHUP is always reported
    if already.poll(0):
        os._exit(0)


def main() -> None:
    """The file descriptor of the connection is the only argument."""
    configure("scorer")
    end_with_the_holder_of(sys.stdin.fileno())
    serve(MessageSocket(socket.socket(fileno=int(sys.argv[1]))))


if __name__ == "__main__":
    main()
