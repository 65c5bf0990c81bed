"""Checks the job's rights on the broker before the submission: a refused job would restart for ever."""

import contextlib
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.errors import GroupIdNotFoundError, KafkaError, NoError, TopicAuthorizationFailedError, for_code

from operators.errors import BrokerError
from operators.kafka_io.broker_errors import broker_error, is_final
from operators.kafka_io.kafka_clients import new_admin, new_producer
from operators.kafka_io.rights import rights
from operators.records.contracts import EXAMPLES, ITEMS
from operators.settings import Settings


def check_rights(settings: Settings) -> None:
    """Logs in as the job and checks its rights. Raises `BrokerError` that names the missing right, and `KafkaError`
    while the broker is not ready.

    Checks nothing if the job's secrets are only on the cluster's machines.
    """
    kafka = settings.kafka.of_job()
    security = kafka.security
    if any(path and not Path(path).is_file() for path in (security.password_file, security.key_file)):
        return
    try:
        with new_admin(kafka) as admin:
            _check_topics(admin, settings, security.username)
            with contextlib.suppress(GroupIdNotFoundError):  # the job may ask, but the group does not exist yet
                admin.list_group_offsets([settings.job.name])
        if settings.job.delivery == "exactly-once" or settings.feedback.enabled:
            producer = new_producer(kafka, transactional_id=f"{settings.job.name}-rights", max_block_ms=10_000)
            try:
                producer.init_transactions()
            finally:
                producer.close(timeout=5)
    except KafkaError as error:
        if is_final(error):
            raise broker_error(error, kafka.client_options()) from error
        raise


def _check_topics(admin: KafkaAdminClient, settings: Settings, user: str) -> None:
    switches = {EXAMPLES: settings.feedback.enabled, ITEMS: settings.demand.enabled}
    unused = {topic for topic, is_on in switches.items() if not is_on}
    granted = rights(settings.job.name)["job"]
    needed = [right for right in granted if right.kind == "TOPIC" and right.name not in unused]
    topics = {topic["name"]: topic for topic in admin.describe_topics(sorted({right.name for right in needed}))}
    for right in needed:
        topic = topics[right.name]
        error = for_code(topic["error_code"])
        allowed = topic.get("authorized_operations")
        if error is TopicAuthorizationFailedError or (error is NoError and allowed and right.operation not in allowed):
            raise BrokerError(
                f"the job's user {user or 'ANONYMOUS'} to have the right {right.operation} on {right.name}",
                f"it has {', '.join(allowed) if allowed and error is NoError else 'none'}",
                f"kafka-acls.sh --add --allow-principal User:{user} --operation {right.operation} --topic {right.name}",
            )
        if error is not NoError:
            raise BrokerError(f"the topic {right.name}", error.__name__, "liveshelf topics create")
