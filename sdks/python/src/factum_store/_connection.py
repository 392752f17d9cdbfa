"""The settings of a connection: address, encryption and credentials."""

from __future__ import annotations

import base64
import ipaddress
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

import grpc

from factum_store._retry import Retry

DEFAULT_PORT = 50051

MAX_MESSAGE_BYTES = 96 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Token:
    """A token, which is sent as ``authorization: Bearer TOKEN``."""

    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Basic:
    """A user and a password, which are sent as in RFC 7617."""

    user: str
    password: str = field(repr=False)


Credentials: TypeAlias = Token | Basic
"""The credentials of a client. They are sent over TLS, or to a server on the same machine."""

Pem: TypeAlias = "bytes | str | os.PathLike[str]"
"""Certificates or a key in PEM format: bytes, or the path of a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """The settings of an encrypted connection."""

    ca: Pem | None = None
    """The certificates of the trusted authorities; the default is the list of gRPC."""
    certificate: Pem | None = None
    """The certificate of the client, for servers that ask for one."""
    key: Pem | None = field(default=None, repr=False)
    """The private key of the client's certificate."""
    server_name: str | None = None
    """The name in the certificate of the server, if it differs from the host of the address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a client."""

    target: str
    is_encrypted: bool
    tls: Tls
    credentials: Credentials | None
    timeout: float | None
    retry: Retry
    reconnect: Retry
    silence: float

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Returns the metadata of each call."""
        if isinstance(self.credentials, Token):
            return (("authorization", f"Bearer {self.credentials.token}"),)
        if isinstance(self.credentials, Basic):
            text = f"{self.credentials.user}:{self.credentials.password}"
            return (("authorization", f"Basic {base64.b64encode(text.encode()).decode()}"),)
        return ()

    def channel_credentials(self) -> grpc.ChannelCredentials | None:
        """Returns the certificates of an encrypted connection, or ``None``."""
        if not self.is_encrypted:
            return None
        return grpc.ssl_channel_credentials(_pem(self.tls.ca), _pem(self.tls.key), _pem(self.tls.certificate))

    def channel_options(self) -> list[tuple[str, str | int]]:
        """Returns the options of a gRPC channel."""
        options: list[tuple[str, str | int]] = [
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            # A dead connection is noticed, also while a call waits.
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            # This client decides about the repetition of calls; the channel must be ready for the next try.
            ("grpc.enable_retries", 0),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.min_reconnect_backoff_ms", 1_000),
            ("grpc.max_reconnect_backoff_ms", 1_000),
        ]
        if self.tls.server_name is not None:
            options.append(("grpc.ssl_target_name_override", self.tls.server_name))
        return options


def settings(
    address: str,
    *,
    credentials: Credentials | None,
    tls: Tls | None,
    timeout: float | None,
    retry: Retry | None,
    reconnect: Retry | None,
    silence: float,
) -> Settings:
    """Checks the settings of a client.

    Raises:
        ValueError: The address or a setting is not valid.
    """
    parts = urlsplit(address)
    schemes = {"factum": False, "http": False, "factums": True, "https": True}
    rule = "expected factum://HOST:PORT, or factums://HOST:PORT with TLS"
    if parts.scheme not in schemes or not parts.hostname:
        raise ValueError(f"invalid address: {address!r}; {rule}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("invalid address with a user or a password; set credentials instead")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"invalid address: {address!r}; {rule}")
    is_encrypted = schemes[parts.scheme]
    if tls is not None and not is_encrypted:
        raise ValueError(f"invalid address: {address!r}; TLS needs factums://")
    if credentials is not None and not is_encrypted and not _is_this_machine(parts.hostname):
        raise ValueError(f'credentials for "{parts.hostname}" would not be encrypted; use factums://HOST:PORT')
    if silence <= 0:
        raise ValueError(f"invalid silence: {silence}; expected a time in seconds above 0")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Settings(
        target=f"{host}:{parts.port or DEFAULT_PORT}",
        is_encrypted=is_encrypted,
        tls=tls or Tls(),
        credentials=credentials,
        timeout=timeout,
        retry=retry or Retry(),
        reconnect=reconnect or Retry(max_attempts=None),
        silence=silence,
    )


def _is_this_machine(host: str) -> bool:
    """Returns whether a host is ``localhost`` or a loopback address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _pem(source: Pem | None) -> bytes | None:
    if source is None or isinstance(source, bytes):
        return source
    return Path(source).read_bytes()
