"""`liveshelf up --secure`: users, certificates and the broker's configuration for SASL_SSL with SCRAM-SHA-512.

Each part logs in as a user of its own, whose password lies in a file of `secrets/`; `secure.toml` says so to the verbs.
The controller's listener wants the broker's own certificate. Nothing is left open.
"""

import json
import secrets
from pathlib import Path

from deploy.local.kafka.certificates import Authority, write_private
from deploy.local.layout import Layout
from operators.configuration.secure_stack import FILE_NAME
from operators.errors import SettingsError, StackError
from operators.kafka_io.rights import rights
from operators.settings import Settings

ADMIN, BROKER, JOB = "admin", "broker", "job"
PROTOCOL, MECHANISM = "SASL_SSL", "SCRAM-SHA-512"
BROKER_NAME = "liveshelf-broker"
CONTROLLER = "CONTROLLER"
PROTOCOLS = "listener.security.protocol.map"


def users(settings: Settings) -> list[str]:
    """All users of the broker: the parts', the administrator, and the broker itself."""
    return [ADMIN, BROKER, *rights(settings.job.name)]


def is_secure(layout: Layout) -> bool:
    """Whether this stack was made by `up --secure`."""
    return (layout.data / FILE_NAME).is_file()


def prepare_secrets(settings: Settings, layout: Layout, secure: bool, plain: dict[str, object]) -> None:
    """Writes passwords and certificates if `secure`, or if the stack is secure already. The broker's certificate is new
    each time.

    `plain`: the broker's properties without security. Raises `StackError` for a broker with data but without users,
    `SettingsError` when the settings configure another login.
    """
    if not secure and not is_secure(layout):
        return
    if not is_secure(layout):
        if (layout.kafka / "data" / "meta.properties").is_file():
            raise StackError(
                "a new stack for --secure: users are made with the broker's first start",
                f"a broker with data in {layout.kafka}",
                "liveshelf down --purge, or set stack.data_dir",
            )
        if settings.kafka.security.protocol != "PLAINTEXT":
            raise SettingsError(
                "no kafka.security for --secure, which makes users of its own",
                f"kafka.security.protocol = {settings.kafka.security.protocol}",
                "leave [kafka.security] as it is by default",
            )
    layout.secrets.mkdir(parents=True, exist_ok=True, mode=0o700)
    layout.secrets.chmod(0o700)
    for user in users(settings):
        if not (file := password_file(layout, user)).is_file():
            write_private(file, secrets.token_urlsafe(24) + "\n")
    authority = Authority.of(_ca(layout), layout.secrets / "ca.key", "liveshelf local authority")
    addresses = _addresses(plain)
    hosts = {"localhost", "127.0.0.1", *(address.rsplit(":", 1)[0] for address in addresses)}
    write_private(_keystore(layout), authority.issue(BROKER_NAME, sorted(hosts)))
    write_private(layout.data / FILE_NAME, _access(addresses))


def secured(plain: dict[str, object], layout: Layout) -> dict[str, object]:
    """Adds security to the broker's properties: PLAINTEXT listeners become SASL_SSL, the controller's becomes SSL."""
    protocols = dict(entry.split(":") for entry in str(plain[PROTOCOLS]).split(","))
    protocols = {name: "SSL" if name == CONTROLLER else PROTOCOL for name in protocols}
    secret = f"${{files:{layout.secrets}:{password_file(layout, BROKER).name}}}"
    module = "org.apache.kafka.common.security.scram.ScramLoginModule required"
    options: dict[str, object] = {
        PROTOCOLS: ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
        "sasl.enabled.mechanisms": MECHANISM,
        "sasl.mechanism.inter.broker.protocol": MECHANISM,
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": _keystore(layout),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": _ca(layout),
        f"listener.name.{CONTROLLER.lower()}.ssl.client.auth": "required",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{ADMIN};User:{BROKER};User:CN={BROKER_NAME}",
        "config.providers": "files",
        "config.providers.files.class": "org.apache.kafka.common.config.provider.DirectoryConfigProvider",
    }
    for name, protocol in protocols.items():
        if protocol == PROTOCOL:
            # a properties file ends a line with \n; the password's string ends there, as its file may do too
            login = f'{module} username="{BROKER}" password="{secret}\\n;'
            options[f"listener.name.{name.lower()}.{MECHANISM.lower()}.sasl.jaas.config"] = login
    return plain | options


def scram_arguments(settings: Settings, layout: Layout) -> Path:
    """Writes the arguments of StorageTool's `format` that create the users to a file: any user can read a command line."""
    file = layout.secrets / "format.arguments"
    lines: list[str] = []
    for user in users(settings):
        lines += [
            "--add-scram",
            f"{MECHANISM}=[name={user},password={password_file(layout, user).read_text().strip()}]",
        ]
    write_private(file, "\n".join(lines) + "\n")
    return file


def part_variables(layout: Layout, part: str) -> dict[str, str]:
    """The environment variables with which a part logs in as its own user. They hold no secret."""
    if not is_secure(layout):
        return {}
    variable = "LIVESHELF_KAFKA__SECURITY__"
    return {f"{variable}USERNAME": part, f"{variable}PASSWORD_FILE": str(password_file(layout, part))}


def password_file(layout: Layout, user: str) -> Path:
    """The file with a user's password."""
    return layout.secrets / f"{user}.password"


def _keystore(layout: Layout) -> Path:
    return layout.secrets / "broker.pem"


def _ca(layout: Layout) -> Path:
    return layout.secrets / "ca.pem"


def _addresses(plain: dict[str, object]) -> list[str]:
    """The addresses at which clients reach the broker."""
    return [listener.split("://")[1] for listener in str(plain["advertised.listeners"]).split(",")]


def _access(addresses: list[str]) -> str:
    def user(name: str) -> str:
        return f'username = "{name}"\npassword_file = "secrets/{name}.password"\n'

    return (
        "# Written by `liveshelf up --secure`. Verbs read it, below flags and environment, where kafka.bootstrap is one of\n"
        "# these brokers and [kafka.security] is not set. Paths are relative to this file. See docs/security.md.\n"
        f"brokers = {json.dumps(addresses)}\n\n"
        f'[security]\nprotocol = "{PROTOCOL}"\nmechanism = "{MECHANISM}"\nca_file = "secrets/ca.pem"\n{user(ADMIN)}\n'
        f"[security.job]\n{user(JOB)}"
    )
