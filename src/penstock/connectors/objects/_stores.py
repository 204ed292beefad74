"""Make obstore's store objects for S3, GCS and Azure, configured by the usual environment variables. Connects to nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, final

from penstock._extras import need
from penstock.connectors.objects._address import ObjectAddress, flag
from penstock.connectors.objects._s3_client import session_of
from penstock.errors import ConfigurationError

__all__ = ["open_store"]

_CONNECT_TIMEOUT = timedelta(seconds=10)
_REQUEST_TIMEOUT = timedelta(minutes=5)  # one part over a slow line; obstore's 30 s are too short for 32 MiB
_PATIENT = {"max_retries": 8, "retry_timeout": timedelta(minutes=2)}
_IMPATIENT = {"max_retries": 1, "retry_timeout": timedelta(seconds=5)}  # for looking: a typo should fail at once
_CREDENTIALS_LAST = timedelta(minutes=5)  # then botocore is asked again, which knows when they must be renewed


def open_store(address: ObjectAddress, is_patient: bool) -> Any:
    """Make obstore's store for the bucket of ``address``.

    Args:
        address: of an object in it.
        is_patient: whether failures that may pass are tried again for long.

    Raises:
        ConfigurationError: an option or a variable makes no sense.
        ValueError: what obstore has to say about its configuration.
    """
    make = {"s3": _s3, "gs": _gs, "az": _az}[address.scheme]
    return make(address, _PATIENT if is_patient else _IMPATIENT)


def _stores() -> Any:
    return need("obstore.store", extra="s3", why="reach an object store")


def _client_options(endpoint: str | None, *authorities: str) -> dict[str, Any]:
    options: dict[str, Any] = {
        "allow_http": bool(endpoint and endpoint.startswith("http://")),
        "connect_timeout": _CONNECT_TIMEOUT,
        "timeout": _REQUEST_TIMEOUT,
    }
    for variable in (*authorities, "SSL_CERT_FILE"):
        if file := os.environ.get(variable):
            options["root_certificate"] = _certificates(variable, file)
            break
    return options


def _certificates(variable: str, file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as exc:
        raise ConfigurationError(f"{variable}={file}: {exc.strerror}") from exc


# --- S3 -----------------------------------------------------------------------------------------------------------


def _s3(address: ObjectAddress, retry: Mapping[str, Any]) -> Any:
    settings = address.s3_settings()
    endpoint = settings.endpoint_url()
    session = session_of(settings)
    config: dict[str, Any] = {"region": settings.region_name(session)}
    if endpoint is not None:
        config |= {"endpoint": endpoint, "virtual_hosted_style_request": False}
    if settings.no_sign_request:
        config["skip_signature"] = True
    else:
        config["credential_provider"] = _Credentials(session)
    options = _client_options(endpoint, "AWS_CA_BUNDLE")
    return _stores().S3Store(address.bucket, client_options=options, retry_config=retry, **config)


@final
class _Credentials:
    """Gives obstore the credentials that botocore finds: it knows profiles, SSO and every kind of role."""

    def __init__(self, session: Any) -> None:
        self._credentials = session.get_credentials()
        if self._credentials is None:
            raise need("botocore.exceptions", extra="s3", why="reach S3").NoCredentialsError

    def __call__(self) -> dict[str, Any]:
        now = self._credentials.get_frozen_credentials()
        return {
            "access_key_id": now.access_key,
            "secret_access_key": now.secret_key,
            "token": now.token,
            "expires_at": datetime.now(UTC) + _CREDENTIALS_LAST,
        }


# --- Google -------------------------------------------------------------------------------------------------------


def _gs(address: ObjectAddress, retry: Mapping[str, Any]) -> Any:
    emulator = os.environ.get("STORAGE_EMULATOR_HOST")
    endpoint = address.text("endpoint") or os.environ.get("GOOGLE_BASE_URL") or emulator
    if endpoint is not None and "://" not in endpoint:
        endpoint = f"http://{endpoint}"  # as Google's own clients read STORAGE_EMULATOR_HOST
    config: dict[str, Any] = {}
    if endpoint is not None:
        config["base_url"] = endpoint
    if flag(address, "no_sign_request"):
        config["skip_signature"] = True
    elif emulator and not address.text("endpoint"):
        config["bearer_token"] = "emulator"  # noqa: S105 - it takes any; unsigned requests, obstore does not write with
    options = _client_options(endpoint)
    return _stores().GCSStore(address.bucket, client_options=options, retry_config=retry, **config)


# --- Azure --------------------------------------------------------------------------------------------------------

# What the Azure command line calls them, where that is not what obstore reads by itself.
_AZURE_VARIABLES = {"account_name": "AZURE_STORAGE_ACCOUNT", "account_key": "AZURE_STORAGE_KEY"}
_CONNECTION_STRING = {
    "accountname": "account_name",
    "accountkey": "account_key",
    "blobendpoint": "endpoint",
    "sharedaccesssignature": "sas_key",
}


def _az(address: ObjectAddress, retry: Mapping[str, Any]) -> Any:
    config = {name: os.environ[variable] for name, variable in _AZURE_VARIABLES.items() if os.environ.get(variable)}
    config |= _connection_string(os.environ.get("AZURE_STORAGE_CONNECTION_STRING", ""))
    for option, name in (("account", "account_name"), ("endpoint", "endpoint")):
        if text := address.text(option):
            config[name] = text
    if "account_name" not in config and not os.environ.get("AZURE_STORAGE_ACCOUNT_NAME"):
        raise ConfigurationError(f"{address.where}: say whose container it is: set AZURE_STORAGE_ACCOUNT_NAME")
    endpoint = config.get("endpoint") or os.environ.get("AZURE_STORAGE_ENDPOINT")
    if flag(address, "no_sign_request"):
        config["skip_signature"] = "true"
    options = _client_options(endpoint)
    return _stores().AzureStore(address.bucket, client_options=options, retry_config=retry, **config)


def _connection_string(text: str) -> dict[str, str]:
    """Take what ``AZURE_STORAGE_CONNECTION_STRING`` holds apart: ``AccountName=...;AccountKey=...``."""
    pairs = (pair.partition("=") for pair in text.split(";") if pair)
    return {known: value for name, _, value in pairs if (known := _CONNECTION_STRING.get(name.strip().lower()))}
