"""The OpenAPI document of our own extensions, from the table of actions; served without a key.

All calls go to `/`; an action is named by headers. OpenAPI tells operations apart by their path,
so each has a fragment, like `/#DescribeMigration`: clients do not send that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from ..cloud.errors import CODES, GATEWAY
from .action import Action, Kind, Param, Product
from .signature import ACS3

_Schema = dict[str, Any]
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_INTRO = (
    "What Landbridge has and the vendor's API lacks. Calls are signed with an access key; see the"
    " security scheme. An answer has further fields than those that are described."
)
_SIGNED = (
    f"{ACS3} Credential=KEY,SignedHeaders=NAMES,Signature=HEX: an HMAC-SHA256 over method, path,"
    " query, the named headers and the digest of the body, as the vendor's SDKs make it."
)
_REQUEST_ID: _Schema = {
    "type": "string", "format": "uuid", "description": "Names the call, also in the audit trail.",
}  # fmt: skip
_KINDS: dict[Kind, _Schema] = {
    Kind.TEXT: {"type": "string"},
    Kind.INTEGER: {"type": "integer"},
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.NAMES: {"type": "string", "description": "Names with commas between."},
    Kind.SECRET: {"type": "string", "format": "password"},
    Kind.STRUCTURE: {"type": "string", "contentMediaType": _JSON},
}


def document(actions: Sequence[Action]) -> dict[str, Any]:
    """The document of those of the actions that are ours."""
    ours = [action for action in actions if action.product is Product.LANDBRIDGE]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Landbridge",
            "version": Product.LANDBRIDGE.value,
            "description": _INTRO,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "The service that gave out this document."}],
        "security": [{"signature": []}],
        "paths": {f"/#{action.name}": {"post": _operation(action)} for action in ours},
        "components": {
            "securitySchemes": {
                "signature": {
                    "type": "apiKey", "in": "header", "name": "Authorization",
                    "description": _SIGNED,
                }
            },
            "parameters": {
                "Date": _header("x-acs-date", {"type": "string", "format": "date-time"}),
                "Nonce": _header("x-acs-signature-nonce", {"type": "string", "maxLength": 128}),
            },
        },
    }  # fmt: skip


def _operation(action: Action) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": action.name,
        "summary": action.summary,
        "parameters": [
            _header("x-acs-action", {"const": action.name}),
            _header("x-acs-version", {"const": action.product.value}),
            {"$ref": "#/components/parameters/Date"},
            {"$ref": "#/components/parameters/Nonce"},
        ],
        "responses": {"200": _answer(action), **_refusals(action)},
    }
    if action.differences:
        operation["description"] = action.differences
    if action.understood:
        needed = [param.name for param in action.understood if param.required]
        form: _Schema = {
            "type": "object",
            "properties": {param.name: _schema(param) for param in action.understood},
            **({"required": needed} if needed else {}),
        }
        operation["requestBody"] = {"required": bool(needed), "content": {_FORM: {"schema": form}}}
    return operation


def _header(name: str, schema: _Schema) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": True, "schema": schema}


def _schema(param: Param) -> _Schema:
    if param.many or param.parts:  # the parser takes lists and objects as JSON, too
        return {**_KINDS[Kind.STRUCTURE], "contentSchema": _inside(param)}
    schema = dict(_KINDS[param.kind])
    if param.choices:
        schema["enum"] = list(param.choices)
    if param.default is not None:
        schema["default"] = param.default
    if param.kind is Kind.INTEGER:
        bounds = {"minimum": param.least, "maximum": param.most}
        schema |= {name: bound for name, bound in bounds.items() if bound is not None}
    return schema


def _inside(param: Param) -> _Schema:
    """The JSON of a list or an object."""
    one = dict(_KINDS[param.kind])
    if param.parts:
        one = {"type": "object", "properties": {part.name: _schema(part) for part in param.parts}}
    return {"type": "array", "maxItems": param.many, "items": one} if param.many else one


def _answer(action: Action) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {"RequestId": _REQUEST_ID},
        "required": ["RequestId"],
    }
    return {"description": "Done.", "content": {_JSON: {"schema": schema}}}


def _refusals(action: Action) -> dict[str, Any]:
    """What else may be answered, by HTTP status."""
    by_status: dict[int, list[str]] = defaultdict(list)
    for code in dict.fromkeys((*action.errors, *GATEWAY)):
        by_status[CODES[code][0]].append(code)
    return {
        str(status): {
            "description": " ".join(f"{code}: {CODES[code][1]}" for code in codes),
            "content": {_JSON: {"schema": _refusal(codes)}},
        }
        for status, codes in sorted(by_status.items())
    }


def _refusal(codes: list[str]) -> _Schema:
    text: _Schema = {"type": "string"}
    properties = {
        "RequestId": _REQUEST_ID,
        "HostId": text,
        "Code": {"enum": codes},
        "Message": text,
        "Recommend": {**text, "description": "What to do; may be empty."},
    }
    return {"type": "object", "properties": properties, "required": list(properties)}
