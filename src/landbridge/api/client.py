"""The other side: signs a call with an access key, sends it, reads the answer.

Works against Landbridge and against the cloud, whichever the endpoint is.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from ..cloud import Secret
from ..errors import LandbridgeError, UsageError
from .signature import ACS3, acs3_string, canonical_query

#: Seconds to wait for an answer.
_PATIENCE = 30.0
_FORM = "application/x-www-form-urlencoded"


class CallRefused(LandbridgeError):
    """The other side refused the call; `id` is its code."""


class CallFailed(LandbridgeError):
    """The other side was not reached, or its answer could not be read."""

    id = "rpc.failed"
    retryable = True


@dataclass(frozen=True)
class Credentials:
    """An access key."""

    key_id: str
    secret: Secret


def call(
    endpoint: str,
    credentials: Credentials,
    version: str,
    action: str,
    parameters: Mapping[str, str],
    method: str = "POST",
) -> dict[str, Any]:
    """Make one call and return its answer.

    `endpoint` is a URL or `HOST:PORT`; without a scheme it is https, on this machine http.
    POST sends the parameters in the body, GET in the URL. Raises CallRefused, CallFailed,
    UsageError (rpc.endpoint).
    """
    base = _base(endpoint)
    pairs = canonical_query(parameters.items())
    body = pairs.encode() if method == "POST" else b""
    query = parameters if method == "GET" else {}
    headers = sign(method, urlsplit(base).netloc, credentials, version, action, query, body)
    url = f"{base}/?{pairs}" if query else f"{base}/"
    request = urllib.request.Request(
        url, body if method == "POST" else None, headers, method=method
    )
    try:
        with _opener(base).open(request, timeout=_PATIENCE) as response:
            raw = response.read()
    except urllib.error.HTTPError as error:
        raise _refusal(error) from None
    except OSError as problem:
        reason = getattr(problem, "reason", problem)
        raise CallFailed(f"{base} does not answer: {reason}") from None
    return _object(raw, base)


def sign(
    method: str,
    host: str,
    credentials: Credentials,
    version: str,
    action: str,
    query: Mapping[str, str],
    body: bytes = b"",
) -> dict[str, str]:
    """The headers of a call signed with ACS3-HMAC-SHA256."""
    headers = {
        "host": host,
        "x-acs-action": action,
        "x-acs-version": version,
        "x-acs-date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "x-acs-signature-nonce": secrets.token_hex(16),
        **({"content-type": _FORM} if body else {}),
    }
    names = sorted(headers)
    text = acs3_string(method, query.items(), headers, names, body)
    made = hmac.digest(credentials.secret.reveal().encode(), text.encode(), "sha256").hex()
    said = f"Credential={credentials.key_id},SignedHeaders={';'.join(names)},Signature={made}"
    return {**headers, "authorization": f"{ACS3} {said}", "accept": "application/json"}


def _base(endpoint: str) -> str:
    with_scheme = endpoint if "://" in endpoint else f"//{endpoint}"
    try:
        parts = urlsplit(with_scheme)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.path.strip("/") or parts.query or parts.username:
        raise UsageError(f"{endpoint!r} is no endpoint: HOST:PORT or a URL", id="rpc.endpoint")
    return f"{parts.scheme or ('http' if is_here(host) else 'https')}://{parts.netloc}"


def is_here(host: str) -> bool:
    """Whether a host name or address is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _opener(base: str) -> urllib.request.OpenerDirector:
    """A proxy is for the world outside only."""
    here = is_here(urlsplit(base).hostname or "")
    return urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if here else []))


def _refusal(error: urllib.error.HTTPError) -> LandbridgeError:
    with error:
        said = _object(error.read(), f"status {error.code} of {urlsplit(error.url).netloc}")
    remedy = said.get("Recommend") or None
    request = f" (request {said['RequestId']})" if said.get("RequestId") else ""
    return CallRefused(
        f"{said.get('Message', '')}{request}",
        id=str(said.get("Code", error.code)),
        remedy=remedy,
        retryable=error.code == 503,
    )


def _object(raw: bytes, origin: str) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise CallFailed(f"the answer is not JSON: {origin}")
    return found
