"""Both generations of the vendor's signature: what was signed, and with which key.

ACS3-HMAC-SHA256 signs method, query, chosen headers and the body's digest; its fields are
headers. The older one, HMAC-SHA1 (or -SHA256) of version 1.0, signs all parameters and is
itself one of them. Both sign parameters decoded and encoded again (measured: the Python
SDK sends `+` for a space and signs `%20`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from ..cloud import CloudError
from .request import Request

ACS3 = "ACS3-HMAC-SHA256"
_AUTHORIZATION = re.compile(
    rf"{ACS3} +Credential=([^,\s]+), *SignedHeaders=([a-z0-9;_-]+), *Signature=([0-9a-f]{{64}})"
)
#: Without them in the signature, somebody on the way could make another call of it.
_MUST_BE_SIGNED = {"x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce"}
_OLDER = {"HMAC-SHA1": "sha1", "HMAC-SHA256": "sha256"}
_NAMED = re.compile(r"Credential=([A-Za-z0-9]+)")
_NAMED_OLDER = re.compile(rb"(?:^|&)AccessKeyId=([A-Za-z0-9]+)")


@dataclass(frozen=True)
class Claim:
    """What a request says of who signed it; nothing of it is proven before `verify`."""

    access_key_id: str
    nonce: str
    time: str
    token: str
    """The security token, if one was sent."""
    signed: str
    """What was signed: the canonical request's string to sign."""
    signature: bytes = field(repr=False)
    digest: str
    """Of the HMAC: sha1 or sha256."""
    suffix: str = ""
    """What is appended to the secret."""

    def verify(self, secret: str) -> bool:
        """Whether the signature was made with `secret`."""
        key = f"{secret}{self.suffix}".encode()
        made = hmac.digest(key, _bytes(self.signed), self.digest)
        return hmac.compare_digest(made, self.signature)


def claim(request: Request) -> Claim:
    """The claim of a request. CloudError: IncompleteSignature, MissingParameter."""
    return _acs3(request) if request.is_acs3 else _older(request)


def named_key(request: Request) -> str | None:
    """The access key that a request names, however malformed the rest; nothing is proven."""
    if request.is_acs3:
        found = _NAMED.search(request.headers["authorization"])
        return found and found[1]
    for raw in (request.query_string, request.body):
        if older := _NAMED_OLDER.search(raw):
            return older[1].decode()
    return None


def _acs3(request: Request) -> Claim:
    headers = request.headers
    found = _AUTHORIZATION.fullmatch(headers["authorization"].strip())
    if found is None:
        raise CloudError(
            "IncompleteSignature",
            f"the header Authorization has not the form {ACS3} Credential=...,SignedHeaders=...,"
            "Signature=...",
        )
    key, names, signature = found.groups()
    signed = names.split(";")
    token = headers.get("x-acs-security-token", "")
    needed = _MUST_BE_SIGNED | ({"x-acs-security-token"} if token else set())
    if missing := sorted(needed.difference(signed) | {n for n in signed if n not in headers}):
        raise CloudError("IncompleteSignature", f"signed headers lack {', '.join(missing)}")
    return Claim(
        access_key_id=key,
        nonce=headers["x-acs-signature-nonce"],
        time=headers["x-acs-date"],
        token=token,
        signed=acs3_string(request.method, request.query, headers, signed, request.body),
        signature=bytes.fromhex(signature),
        digest="sha256",
    )


def _older(request: Request) -> Claim:
    given = request.parameters
    for name in ("AccessKeyId", "Signature", "SignatureNonce", "Timestamp"):
        if not given.get(name):
            raise CloudError("MissingParameter", f"{name} is needed, or the header Authorization")
    digest = _OLDER.get(given.get("SignatureMethod", ""))
    if digest is None or given.get("SignatureVersion") != "1.0":
        raise CloudError(
            "IncompleteSignature",
            f"SignatureMethod is none of {', '.join(_OLDER)}, or SignatureVersion is not 1.0",
        )
    try:
        signature = base64.b64decode(given["Signature"], validate=True)
    except ValueError:
        raise CloudError("IncompleteSignature", "the Signature is not Base64") from None
    signed = sorted((k, v) for k, v in given.items() if k != "Signature")
    return Claim(
        access_key_id=given["AccessKeyId"],
        nonce=given["SignatureNonce"],
        time=given["Timestamp"],
        token=given.get("SecurityToken", ""),
        signed=f"{request.method}&%2F&{encode(canonical_query(signed))}",
        signature=signature,
        digest=digest,
        suffix="&",
    )


def acs3_string(
    method: str,
    query: Iterable[tuple[str, str]],
    headers: Mapping[str, str],
    signed: Iterable[str],
    body: bytes,
) -> str:
    """The string to sign of ACS3-HMAC-SHA256; the path is always `/`."""
    names = list(signed)
    lines = [
        method,
        "/",
        canonical_query(sorted(query)),
        *(f"{name}:{headers[name].strip()}" for name in names),
        "",
        ";".join(names),
        hashlib.sha256(body).hexdigest(),
    ]
    return f"{ACS3}\n{hashlib.sha256(_bytes(chr(10).join(lines))).hexdigest()}"


def canonical_query(pairs: Iterable[tuple[str, str]]) -> str:
    """Pairs as they are signed."""
    return "&".join(f"{encode(name)}={encode(text)}" for name, text in pairs)


def encode(text: str) -> str:
    """Percent-encoded but for letters, digits and `-_.~`."""
    return quote(text, safe="~")


def _bytes(text: str) -> bytes:
    # Headers arrive as bytes of any kind; those that are not UTF-8 pass as they came.
    return text.encode(errors="surrogateescape")
