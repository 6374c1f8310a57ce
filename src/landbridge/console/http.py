"""What a browser sent."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import parse_qsl, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request

from ..api.bodies import Bodies, BodyRefused

#: The most bytes of a form.
_MAX_FORM = 300_000


async def read_form(http: Request, bodies: Bodies) -> dict[str, str]:
    """A form that was sent; values of one name joined with commas.

    HTTPException if it is too large or too slow; ClientDisconnect.
    """
    try:
        body = await bodies.read(http.receive, http.headers.get("content-length"), _MAX_FORM)
    except BodyRefused as refusal:
        raise HTTPException(refusal.status) from None
    found: dict[str, str] = {}
    try:
        pairs = parse_qsl(
            body.decode(errors="replace"), keep_blank_values=True, max_num_fields=2000
        )
    except ValueError:
        raise HTTPException(413) from None
    for name, text in pairs:
        clean = text.replace("\0", "\ufffd").replace("\r\n", "\n")
        found[name] = f"{found[name]},{clean}" if name in found else clean
    return found


def is_known(host: str, names: Collection[str]) -> bool:
    """Whether a console may be asked as `host`: by an address, as localhost, or by one of `names`.

    A page elsewhere can make a name of its own lead here, and would then be of this origin.
    """
    name = name_of(host)
    try:
        ip_address(name)
    except ValueError:
        return name == "localhost" or name in names
    return True


def name_of(host: str) -> str:
    """The name, or the address, in a Host header; empty where there is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:
        return ""


def is_linked(http: Request) -> bool:
    """Whether a page of another site led here; browsers say so."""
    return http.headers.get("sec-fetch-site") in ("cross-site", "same-site")


def is_from_here(http: Request) -> bool:
    """Whether a form was sent by a page of ours; browsers say so, other clients say nothing."""
    if is_linked(http):
        return False
    origin = http.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == http.headers.get("host")
