"""A request as it came in, before anything is believed of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import parse_qsl

from ..cloud import CloudError

Pairs = tuple[tuple[str, str], ...]

#: The most bytes of a body, and the most parameters.
MAX_BODY = 1_000_000
MAX_PARAMETERS = 2_000
_FORM = "application/x-www-form-urlencoded"
#: Of every call, whatever the action; those of the older signature travel as parameters.
_COMMON = {
    "Action", "Version", "Format", "AccessKeyId", "SecurityToken", "Signature", "SignatureMethod",
    "SignatureNonce", "SignatureType", "SignatureVersion", "Timestamp",
}  # fmt: skip


@dataclass(frozen=True)
class Request:
    """One HTTP request to the path `/`."""

    method: str
    headers: Mapping[str, str]
    """Names in lower case; several of one name are joined with a comma."""
    query_string: bytes = b""
    body: bytes = b""
    source: str = ""
    """The caller's address."""

    @cached_property
    def query(self) -> Pairs:
        """The parameters of the URL. CloudError (InvalidParameter) if it cannot be decoded."""
        return _pairs(self.query_string)

    @cached_property
    def form(self) -> Pairs:
        """The parameters of the body. CloudError (InvalidParameter) if it is no form."""
        if not self.body:
            return ()
        if self.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
            raise CloudError("InvalidParameter", f"a body must have the content type {_FORM}")
        return _pairs(self.body)

    @cached_property
    def parameters(self) -> dict[str, str]:
        """All parameters; CloudError (InvalidParameter) where one is given twice."""
        pairs = self.query + self.form
        found = dict(pairs)
        if len(found) != len(pairs):
            raise CloudError("InvalidParameter", "a parameter is given twice")
        return found

    @cached_property
    def arguments(self) -> dict[str, str]:
        """The parameters that belong to the action."""
        return {name: text for name, text in self.parameters.items() if name not in _COMMON}

    @property
    def host(self) -> str:
        """How the caller reached us; characters that a host cannot have are replaced."""
        return self.headers.get("host", "").encode("ascii", "replace").decode()

    @property
    def is_acs3(self) -> bool:
        """Whether it is signed in the newer way, which names the action in headers."""
        return "authorization" in self.headers

    @property
    def action(self) -> str:
        """Name of the action; empty if none is given."""
        return self._named("action", "Action")

    @property
    def version(self) -> str:
        """Version of the action's product; empty if none is given."""
        return self._named("version", "Version")

    def _named(self, header: str, parameter: str) -> str:
        if self.is_acs3:
            return self.headers.get(f"x-acs-{header}", "")
        return self.parameters.get(parameter, "")


def _pairs(raw: bytes) -> Pairs:
    try:
        pairs = parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except ValueError as problem:
        bad = "are not UTF-8" if isinstance(problem, UnicodeError) else "are too many"
        raise CloudError("InvalidParameter", f"the parameters {bad}") from None
    return tuple(pairs)
