"""Templates to text."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..cloud import regions
from ..cloud.migrations.told import advice
from ..cloud.remedies import on_page
from ..postgres.units import count, duration, milliseconds, rate, size
from .nav import ROOT
from .states import tone, words

STATIC = Path(__file__).parent / "static"


def page(template: str, **facts: Any) -> str:
    """A template of the console, filled."""
    return _environment().get_template(template).render(**facts)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("landbridge.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "bits": bits,
        "count": count,
        "duration": duration,
        "milliseconds": lasting,
        "moment": moment,
        "on_page": on_page,
        "rate": rate,
        "region": region,
        "size": size,
        "time": time_tag,
        "tone": tone,
        "words": words,
    }
    made.globals |= {"advice": advice, "static": static}
    return made


@cache
def static(name: str) -> str:
    """The address of a file that is shipped; another one when its content changes."""
    digest = sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"{ROOT}/static/{name}?{digest}"


def bits(per_second: float | None) -> str:
    """A rate of a line as lines are sold: `1.2 Mbit/s`."""
    if per_second is None:
        return "–"
    for unit, base in (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)):
        if per_second >= base * 0.9995:
            return f"{per_second / base:.3g} {unit}"
    return f"{per_second:.0f} bit/s"


def lasting(ms: float | None) -> str:
    """Milliseconds while they can be read as such, then seconds and so on."""
    return milliseconds(ms) if ms is None or ms < 9_999.5 else duration(ms / 1000)


def region(id: str) -> str:
    """What a person calls a region: `China (Beijing)`; the id where it is none of ours."""
    found = regions.regions().get(id)
    return found.name if found else id


def moment(text: str | None) -> str:
    """A time of an answer for reading: UTC, seconds."""
    return _read(text).strftime("%Y-%m-%d %H:%M:%S") if text else "–"


def time_tag(text: str | None) -> Markup:
    """A time as an element that the script shows in the reader's own zone."""
    if not text:
        return Markup("–")
    at = _read(text)
    return Markup('<time datetime="{}">{} UTC</time>').format(at.isoformat(), moment(text))


def _read(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
