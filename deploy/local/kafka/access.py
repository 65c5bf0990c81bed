"""The rights of each part on the local broker (`operators.kafka_io.rights`), as its access control list."""

from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourceType,
)

from operators.errors import StackError
from operators.kafka_io.kafka_clients import broker_errors, new_admin
from operators.kafka_io.rights import Right, rights
from operators.settings import Settings


def grant(settings: Settings) -> int:
    """Grants what `operators.kafka_io.rights` says to each part's user; returns how many entries. Raises `StackError`."""
    entries = [_entry(part, right) for part, granted in rights(settings.job.name).items() for right in granted]
    with new_admin(settings.kafka) as admin, broker_errors(settings.kafka):
        failed = admin.create_acls(entries)["failed"]
    if failed:
        raise StackError("the broker to take the rights of each part", failed[0].__name__, "liveshelf logs kafka")
    return len(entries)


def _entry(part: str, right: Right) -> ACL:
    pattern = ACLResourcePatternType.PREFIXED if right.prefixed else ACLResourcePatternType.LITERAL
    return ACL(
        principal=f"User:{part}",
        host="*",
        operation=ACLOperation[right.operation],
        permission_type=ACLPermissionType.ALLOW,
        resource_pattern=ResourcePattern(ResourceType[right.kind], right.name, pattern),
    )
