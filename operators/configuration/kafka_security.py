"""`[kafka.security]`: one table, rendered for each client in its own dialect.

kafka-python takes the secrets themselves. Flink's Java clients get references to the files (Kafka's config providers):
their options are part of the job, which Flink keeps in its REST interface, its storage and its logs.
"""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, model_validator

from operators.configuration.secret_files import existing, private, secret
from operators.configuration.settings_section import Section
from operators.errors import SettingsError

TABLE = "kafka.security"
FILES = ("password_file", "ca_file", "cert_file", "key_file", "key_password_file")
# the connector's jar carries Kafka's classes under another name
SHADED = "org.apache.flink.kafka.shaded.org.apache.kafka"
LOGIN_MODULES = {
    "PLAIN": f"{SHADED}.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": f"{SHADED}.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": f"{SHADED}.common.security.scram.ScramLoginModule",
}
PROVIDER = "liveshelf"
PROVIDER_CLASS = f"{SHADED}.common.config.provider.DirectoryConfigProvider"


class Identity(Section):
    """The identity of a client: a user with a password, a certificate with a key, or both. "": not set.

    `password` is for the environment (LIVESHELF_KAFKA__SECURITY__PASSWORD) and is in no `model_dump`.
    """

    username: str = ""
    password: SecretStr = Field(SecretStr(""), exclude=True)
    password_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    key_password_file: str = ""

    def fields_set(self) -> dict[str, Any]:
        """The fields that are set."""
        return {name: value for name in Identity.model_fields if _is_set(value := getattr(self, name))}


class SecuritySettings(Identity):
    """How clients and broker authenticate each other. `job`: the identity that the job on the cluster uses instead."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = ""
    job: Identity = Identity()

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.protocol.endswith("SSL")

    @property
    def sasl(self) -> bool:
        """Whether a user logs in."""
        return self.protocol.startswith("SASL")

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        for identity, table in ((self, TABLE), (self.of_job(), f"{TABLE}.job")):
            identity._check(table)
        return self

    def _check(self, table: str) -> None:
        login = {"username", "password", "password_file"} & self.fields_set().keys()
        files = {"ca_file", "cert_file", "key_file"} & self.fields_set().keys()
        if not self.sasl and (login or self.mechanism):
            raise _unfit(table, "SASL_SSL or SASL_PLAINTEXT", f"{self.protocol} with a user or a mechanism", "protocol")
        if not self.tls and files:
            raise _unfit(table, "SSL or SASL_SSL", f"{self.protocol} with {', '.join(sorted(files))}", "protocol")
        if self.sasl and self.mechanism and not self.username:
            raise _unfit(table, "a user", f"{self.mechanism} without one", "username")
        if self.sasl and self.username and not self.mechanism:
            raise _unfit(table, "a mechanism", f"the user {self.username} without one", "mechanism")
        if bool(self.username) != bool(login - {"username"}):
            raise _unfit(table, "a user and a password", "one without the other", "username and password_file")
        if self.password_file and _is_set(self.password):
            raise _unfit(table, "one password", "password and password_file", "password_file, or unset the other")
        if bool(self.cert_file) != bool(self.key_file) or (self.key_password_file and not self.key_file):
            raise _unfit(table, "a certificate and its key", "one without the other", "cert_file and key_file")

    def of_job(self) -> "SecuritySettings":
        """The settings of the job: the fields that `job` sets replace those of the table."""
        own = self.job.fields_set()
        if {
            "username",
            "password",
            "password_file",
        } & own.keys():  # never combine one identity's user with another's password
            own = {"username": "", "password": SecretStr(""), "password_file": ""} | own
        if {"cert_file", "key_file"} & own.keys():
            own = {"cert_file": "", "key_file": "", "key_password_file": ""} | own
        return self.model_copy(update=own | {"job": Identity()})

    def below(self, root: Path) -> "SecuritySettings":
        """A copy with absolute paths; relative ones are below `root`."""

        def absolute(identity: Identity) -> dict[str, str]:
            return {name: str(root / path) for name in FILES if (path := getattr(identity, name))}

        return self.model_copy(update=absolute(self) | {"job": self.job.model_copy(update=absolute(self.job))})

    def revealed(self) -> dict[str, Any]:
        """A dump that includes the password from the environment. Only the submission to the cluster may use it."""
        return self.model_dump() | {"password": self.password.get_secret_value()}

    def python_options(self) -> dict[str, Any]:
        """Keyword arguments of kafka-python's clients. Raises `SettingsError` for a file that cannot be used."""
        if self.protocol == "PLAINTEXT":
            return {}
        options: dict[str, Any] = {"security_protocol": self.protocol}
        if self.ca_file:
            options["ssl_cafile"] = str(existing(self.ca_file, f"{TABLE}.ca_file"))
        if self.cert_file:
            options["ssl_certfile"] = str(existing(self.cert_file, f"{TABLE}.cert_file"))
            options["ssl_keyfile"] = str(private(self.key_file, f"{TABLE}.key_file"))
        if self.key_password_file:
            options["ssl_password"] = secret(self.key_password_file, f"{TABLE}.key_password_file")
        if self.mechanism:
            options |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self._password(),
            }
        return options

    def java_options(self) -> dict[str, str]:
        """Options of Flink's Kafka clients. Files are named, not read: they lie on the cluster's machines under these
        paths. Raises `SettingsError` for what a Java client could not read."""
        if self.protocol == "PLAINTEXT":
            return {}
        options: dict[str, str] = {"security.protocol": self.protocol}
        if self.ca_file:
            options |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": self.ca_file}
        if self.cert_file:
            options |= {
                "ssl.keystore.type": "PEM",
                "ssl.keystore.certificate.chain": _reference(self.cert_file, "cert_file"),
                "ssl.keystore.key": _reference(self.key_file, "key_file"),
            }
            _refuse_old_key(self.key_file)
        if self.key_password_file:
            options["ssl.key.password"] = _reference(self.key_password_file, "key_password_file")
        if self.mechanism:
            options |= {"sasl.mechanism": self.mechanism, "sasl.jaas.config": self._jaas()}
        if any(f"${{{PROVIDER}:" in value for value in options.values()):
            options |= {"config.providers": PROVIDER, f"config.providers.{PROVIDER}.class": PROVIDER_CLASS}
        return options

    def _password(self) -> str:
        return (
            secret(self.password_file, f"{TABLE}.password_file")
            if self.password_file
            else self.password.get_secret_value()
        )

    def _jaas(self) -> str:
        head = f"{LOGIN_MODULES[self.mechanism]} required username={_jaas_quoted(self.username)} password="
        if not self.password_file:
            return f"{head}{_jaas_quoted(self.password.get_secret_value())};"
        mark = _mark_around(self.password_file)
        # Kafka inserts the file's text between the quotation marks unchanged. A JAAS string ends at its mark or at the
        # end of the line, so the line break below closes it whether or not the file ends with one
        return f"{head}{mark}{_reference(self.password_file, 'password_file')}\n;"


def _is_set(value: Any) -> bool:
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)


def _unfit(table: str, expected: str, came: str, fix: str) -> SettingsError:
    return SettingsError(f"{expected} in `{table}`", came, f"set {table}.{fix}")


def _jaas_quoted(text: str) -> str:
    # "$" as \044: a config provider must not take a part of a password for a reference
    marks = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "$": "\\044"}
    return f'"{"".join(marks.get(sign, sign) for sign in text)}"'


def _mark_around(password_file: str) -> str:
    """A quotation mark that does not occur in the password file; `"` if the file is not on this machine."""
    if not Path(password_file).is_file():
        return '"'
    text = secret(password_file, f"{TABLE}.password_file")
    marks = [mark for mark in ('"', "'") if mark not in text]
    if "\\" in text or not marks:
        raise SettingsError(
            "a password without a backslash and without both \" and '",
            f"one in {password_file} that Flink's clients would read wrongly: they put the file's text between quotes",
            "choose another password, or give it in LIVESHELF_KAFKA__SECURITY__PASSWORD (it then travels inside the job)",
        )
    return marks[0]


def _reference(path: str, setting: str) -> str:
    if set(path) & set(":}"):
        raise SettingsError(
            f"a path without : and }} at `{TABLE}.{setting}`",
            path,
            "Kafka's config providers cannot name it: move the file",
        )
    file = Path(path)
    return f"${{{PROVIDER}:{file.parent}:{file.name}}}"


def _refuse_old_key(path: str) -> None:
    """Java reads only PKCS#8. A key that is not on this machine is not checked."""
    if not Path(path).is_file():
        return
    first = private(path, f"{TABLE}.key_file").read_text(errors="replace")
    if "PRIVATE KEY-----" in first and "BEGIN PRIVATE KEY" not in first and "BEGIN ENCRYPTED PRIVATE KEY" not in first:
        raise SettingsError(
            f"a key in PKCS#8 form (BEGIN PRIVATE KEY) at `{TABLE}.key_file`",
            f"{path} in another form, which Java does not read",
            f"openssl pkcs8 -topk8 -in {path} -out NEW [-nocrypt]",
        )
