"""`liveshelf train --follow`: trains on what the topics bring, until it is stopped."""

import shutil
import threading
import time
from pathlib import Path

import typer

from liveshelf.models.rollout import store_of
from liveshelf.terminal.output import people
from operators.configuration.model_settings import BundleSettings
from operators.errors import BundleError, LiveshelfError, RolloutError, SettingsError
from operators.model.bundle_files import manifest_sum
from operators.model.bundle_signature import KEY_SETTING, public_key_of, read_signing_key, sign_bundle, signed_manifest
from operators.rollout.bundle_store import fetched, forget, put
from operators.rollout.rollout import Change, Rollout, promoted
from operators.settings import Settings
from operators.time_units import HOUR_MS
from pipelines.provenance.audit_log import record_act
from pipelines.submission.cluster import Cluster
from pipelines.submission.served_bundle import ServedBundle, served_bundle
from pipelines.topics.rollout_topic import change_rollout, read_newest, taken_back_ms

BY = "liveshelf train --follow"


def refuse_others(context: typer.Context) -> None:
    """Raises `SettingsError` for any other option on the command line, also one with its default value: each is of a single
    training, and would have no effect."""
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if option.name != "follow" and source is not None and source.name != "DEFAULT":
            raise SettingsError(
                "--follow without options of a single training",
                option.opts[0],
                "leave it out: rounds train on the CPU, with the settings of [trainer] and the champion's own",
            )


def refuse_unsigned(bundle: BundleSettings) -> None:
    """Raises `SettingsError` where no operator would serve what this trainer promotes: it must sign, with a key that
    they accept. A key that cannot be read is refused too."""
    key = read_signing_key(bundle.signing_key_file) if bundle.signing_key_file else None
    if bundle.required_keys and (key is None or public_key_of(key) not in bundle.required_keys):
        raise SettingsError(
            f"a key at {KEY_SETTING} whose public key is in bundle.public_keys, as bundle.require_signature is set",
            "none" if key is None else f"one with the public key {public_key_of(key)}",
            "copy the key to this machine and set its path, or add its public key",
        )


def follow(settings: Settings) -> None:
    """Runs until the process is ended, which may be at any point. Raises `LiveshelfError` if it cannot start."""
    refuse_unsigned(settings.bundle)
    from deploy.local.layout import Layout
    from model_export.follow.candidate import RoundOptions
    from model_export.follow.follow_metrics import FollowMetrics
    from model_export.follow.follower import Follower
    from model_export.follow.following import Cadences, run_rounds
    from model_export.follow.history import History
    from model_export.follow.learned import WindowSize
    from model_export.follow.window_files import JudgeGate
    from pipelines.topics.followed_topics import FollowedTopics

    trainer, targets = settings.trainer, Layout.of(settings).targets
    work, least = settings.resolve(trainer.work_dir), WindowSize(settings.gate.min_questions, settings.gate.min_users)
    history = History(work / "history", trainer.history_events, settings.events)
    serving = RolloutChampion(settings, work / "champions")
    targets_file = targets / "trainer-follow.json" if targets.is_dir() else None
    metrics = FollowMetrics(trainer.metrics_port, targets_file, trainer.weights_every_s)
    try:
        with FollowedTopics(settings) as topics:
            follower = Follower(
                work / "bundles",
                history,
                topics,
                serving,
                JudgeGate(settings.gate, settings.events, work),
                RoundOptions(settings.events, trainer.replay_share, trainer.half_life_hours, least=least),
            )
            cadences = Cadences(trainer.light_every_s, trainer.weights_every_s)
            people.print(f"following the topics, from the bundle {serving.champion()}", soft_wrap=True)
            run_rounds(follower, history, cadences, threading.Event(), metrics, _line)
    finally:
        history.close()
        metrics.close()


def _line(text: str) -> None:
    people.print(f"{time.strftime('%H:%M:%S')} {text}", soft_wrap=True, markup=False)


def submitted_bundle(settings: Settings) -> ServedBundle | None:
    """What the running job was submitted with; None where Flink does not say: it is out of reach, or no job runs."""
    try:
        cluster = Cluster(settings.job)
        try:
            jobs = cluster.jobs(settings.job.name)
            return served_bundle(cluster, str(jobs[0]["jid"])) if jobs else None
        finally:
            cluster.close()
    except LiveshelfError:
        return None


class RolloutChampion:
    """The champion of the rollout on `shop.models.v1`; the bundle of the settings where none was promoted. A `Serving`."""

    def __init__(self, settings: Settings, copies: Path) -> None:
        """`copies`: a folder for copies of champions."""
        self._settings, self._copies = settings, copies
        self._sum: str | None = None

    def champion(self) -> Path:
        """Its folder here. Raises `BrokerError`, `StackError` where the store does not answer, and `BundleError`, also where
        nothing was promoted and the bundle of the settings is not what the job serves."""
        rollout = read_newest(self._settings)
        if rollout is None:
            self._sum, folder = None, self._settings.resolve(self._settings.bundle.path)
            signed_manifest(folder, self._settings.bundle.required_keys)
            if (served := submitted_bundle(self._settings)) is not None and served.sum != manifest_sum(folder):
                raise BundleError(
                    f"the bundle that the job serves, {served.name}, at bundle.path ({folder})",
                    "another one",
                    f"liveshelf models promote FOLDER with the one to go on from, such as {served.folder}",
                )
            return folder
        self._sum = rollout.champion.sum
        folder = fetched(rollout.champion, self._copies, self._settings.bundle.required_keys)
        # the champion before too: a rollback must not need the store
        forget(self._copies, [bundle.sum for bundle in (rollout.champion, rollout.previous) if bundle is not None])
        return folder

    def promote(self, folder: Path, reason: str) -> None:
        """Raises `RolloutError` if another champion was promoted meanwhile: the candidate was not compared with it."""
        if self._settings.bundle.signing_key_file:
            sign_bundle(folder, self._settings.bundle.signing_key_file)
        bundle = put(folder, store_of(self._settings))

        def verb(now: Rollout | None, change: Change) -> Rollout:
            if (None if now is None else now.champion.sum) != self._sum:
                raise RolloutError(
                    "the champion that the candidate was compared with",
                    "another one, promoted meanwhile",
                    "none: the next round starts from it",
                    retriable=True,
                )
            return promoted(now, bundle, change)

        before, _ = change_rollout(self._settings, verb, reason, by=BY)
        record_act(
            self._settings.kafka,
            "models promote",
            by=BY,
            bundle=f"{bundle.label} {bundle.sum}",
            champion=bundle.label,
            before="the submitted bundle" if before is None else before.champion.label,
            why=reason,
        )

    def held(self, now_ms: int) -> str | None:
        """As `Serving`: after a rollback that somebody made, or the guard, until somebody promotes or the time of the settings
        is over. The next candidate has learned what the bundle learned that was taken back. Raises `BrokerError`."""
        hours, since_ms = self._settings.trainer.hold_after_rollback_hours, taken_back_ms(self._settings)
        if since_ms is None or now_ms >= (until_ms := since_ms + hours * HOUR_MS):
            return None
        until = time.strftime("%Y-%m-%d %H:%M", time.localtime(until_ms / 1000))
        return f"held after a rollback or reset until {until}, or until somebody promotes (trainer.hold_after_rollback_hours)"

    def retire(self, folder: Path) -> None:
        """Removes the bundle from a store that is a folder, unless the rollout names it."""
        store, rollout = store_of(self._settings), read_newest(self._settings)
        named = [] if rollout is None else rollout.named
        bundle_sum = manifest_sum(folder)
        if "://" not in store and all(bundle.sum != bundle_sum for bundle in named):
            shutil.rmtree(Path(store) / bundle_sum, ignore_errors=True)
