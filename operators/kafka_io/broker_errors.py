"""Turns errors of kafka-python and TLS into a `BrokerError`: expected, came, next."""

import ssl
from collections.abc import Mapping
from typing import Any

from kafka import errors

from operators.errors import BrokerError, LiveshelfError

REFUSED_LOGIN = (
    errors.SaslAuthenticationFailedError,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
)
MAX_TEXT = 200  # characters: some errors hold a whole request
RETRY_SECONDS = 1.0  # until a reader that follows a topic tries again
REFUSED_SECONDS = 15.0  # after a refusal: an operator must repair something first
EXPIRED, NOT_YET, WRONG_NAME, WRONG_ADDRESS = 10, 9, 62, 64  # OpenSSL's numbers


def is_final(cause: BaseException) -> bool:
    """Whether a retry would fail too: a refused login or right, a certificate that is not trusted."""
    if isinstance(cause, LiveshelfError):
        return not cause.retriable
    tls = _tls(cause)
    return (
        isinstance(cause, REFUSED_LOGIN)
        or _without_right(cause)
        or (isinstance(tls, ssl.SSLError) and not isinstance(tls, ssl.SSLEOFError | ssl.SSLZeroReturnError))
    )


def broker_error(cause: BaseException, options: Mapping[str, Any]) -> BrokerError:
    """`options`: those of the client."""
    where = ",".join(options.get("bootstrap_servers", ())) or "kafka.bootstrap"
    protocol, user = options.get("security_protocol", "PLAINTEXT"), options.get("sasl_plain_username")
    tls = _tls(cause)
    if isinstance(cause, errors.SaslAuthenticationFailedError):
        return BrokerError(
            f"{where} to accept the user {user} ({protocol}, {options.get('sasl_mechanism')})",
            _text_of(cause),
            "correct kafka.security.username and its password_file; docs/security.md",
        )
    if isinstance(cause, REFUSED_LOGIN):
        return BrokerError(
            f"{where} to know the mechanism {options.get('sasl_mechanism')}",
            _text_of(cause),
            "correct kafka.security.mechanism",
        )
    if _without_right(cause):
        principal = f"the user {user}" if user else "this client"
        return BrokerError(
            f"{principal} to have the right",
            _text_of(cause),
            "grant it, or name another user; docs/security.md has each part's rights",
        )
    if isinstance(tls, ssl.SSLCertVerificationError):
        return BrokerError(
            f"a certificate of {where} that is valid and trusted", tls.verify_message, _certificate_fix(tls)
        )
    if isinstance(tls, ssl.SSLError):
        return BrokerError(
            f"TLS at {where} ({protocol})",
            _text_of(tls),
            "does it speak TLS there? correct kafka.security.protocol or kafka.bootstrap; or its certificate's key",
            retriable=not is_final(cause),
        )
    return BrokerError(
        f"a broker at {where} ({protocol})",
        _text_of(cause),
        f"liveshelf up, or set kafka.bootstrap{_other_protocol(cause, protocol)}",
        retriable=bool(getattr(cause, "retriable", True)),
    )


def error_text(cause: BaseException) -> str:
    """Any error as text for a log; an error of kafka-python names the next step."""
    shown = broker_error(cause, {}) if isinstance(cause, errors.KafkaError) else cause
    return str(shown) if isinstance(shown, LiveshelfError) else repr(shown)


def _tls(cause: BaseException | None) -> ssl.SSLError | None:
    """The TLS error behind an error of kafka-python, which repeats only its text."""
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    return cause


def _certificate_fix(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in (EXPIRED, NOT_YET):
        return "renew the broker's certificate (of the local stack: liveshelf down, liveshelf up), or correct this machine's clock"
    if error.verify_code in (WRONG_NAME, WRONG_ADDRESS):
        return "write kafka.bootstrap with a name that stands in the broker's certificate"
    return "set kafka.security.ca_file to the certificate of the authority that signed the broker's"


def _without_right(cause: BaseException) -> bool:
    """Whether the broker refused for lack of a right. The producer reports some refusals only in the text."""
    return isinstance(cause, errors.AuthorizationError) or (
        isinstance(cause, errors.KafkaError) and "AuthorizationFailed" in str(cause)
    )


def _other_protocol(cause: BaseException, protocol: str) -> str:
    """A broker that hangs up instead of answering often expects another protocol."""
    hung_up = isinstance(cause, errors.KafkaConnectionError | errors.InvalidReceiveError | errors.KafkaTimeoutError)
    if not hung_up or any(word in str(cause) for word in ("ECONNREFUSED", "DNS")):
        return ""
    return f"; a broker that closes the connection may expect another kafka.security.protocol than {protocol}"


def _text_of(cause: BaseException) -> str:
    """The error's own text, without the class names that kafka-python adds."""
    own = cause.args[0] if isinstance(cause, errors.KafkaError) and cause.args else cause
    name, text = type(cause).__name__, " ".join(str(own).split())
    text = text.removeprefix(f"{name}: ").removeprefix(name)
    return f"{name}: {text[:MAX_TEXT]}" if text else name
