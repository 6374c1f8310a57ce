"""The live picture of a CEN, and whether and why a packet passes between two places of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from ...cloud import CloudError, regions
from ..forms import Field, Form, Kind, Option
from ..page import Page
from ..picture import picture
from ..visit import Visit, missing, url
from . import cen

_Row = dict[str, Any]
#: Seconds between two looks; while a packet is stopped, and while it passes: each is seen in the
#: log of the server that it is sent to.
_LOOK, _TRY, _TRY_AGAIN = 2.0, 5.0, 10.0
_ID = "DBInstanceId"
#: What is chosen to name an instance that is not shown.
_OTHER = "other"


@dataclass
class Step:
    """One place on the way of a packet."""

    id: str
    words: str
    part: str = "end"
    """end, attachment, line or whitelist."""
    state: str = "beyond"
    """passed, stopped, or beyond what stopped it."""


def lines_with_traffic(visit: Visit) -> dict[str, _Row]:
    """What the connections of the CEN carry, by id."""
    rows = visit.call("landbridge.DescribeLineTraffic", CenId=visit["id"])["Lines"]
    return {row["TransitRouterAttachmentId"]: row for row in rows}


def curve(row: _Row) -> _Row:
    """The course of what a line carries, as static/curves.js wants it."""
    names = (regions.region(row[key]).name for key in ("PeerRegionId", "RegionId"))
    columns = list(zip(*row["Series"], strict=True)) or [(), (), ()]
    return {
        "unit": "bit/s",
        "times": [at / 1000 for at in columns[0]],
        "series": [
            {"name": f"to {name}", "values": values}
            for name, values in zip(names, columns[1:], strict=True)
        ],
        "limit": {"name": "Allocated", "value": row["Bandwidth"] * 1_000_000},
    }


def _show(visit: Visit) -> Response:
    if visit.is_linked and "to" in visit.query:  # nobody else's link sends a packet
        return visit.go(url("cen", visit["id"], "topology", **{"from": visit.query.get("from")}))
    answer = visit.call("landbridge.DescribeTopology", CenId=visit["id"])
    seen = answer["Cens"][0]
    carried = lines_with_traffic(visit) if seen["IsOwn"] else {}
    for line in seen["Lines"]:
        line |= carried.get(line["TransitRouterAttachmentId"], {})
    form, tried, problem = _question(visit, seen, answer["Instances"])
    way = _way(visit, seen, answer["Instances"], tried) if tried else []
    facts = {
        "cen": cen.found(visit) if seen["IsOwn"] else seen | {"Status": "Active"},
        "seen": seen,
        "instances": answer["Instances"],
        "vpcs": {row["VpcId"]: row for row in [*seen["Attachments"], *seen["GrantedVpcs"]]},
        "names": {row["VpcId"]: row["VpcName"] for row in answer["Vpcs"]},
        "picture": picture(seen, answer["Instances"], visit.who.uid),
        "form": form,
        "tried": tried,
        "problem": problem,
        "way": way,
        "marks": _marks(way, tried, visit.query.get("from", "")),
        "choose": lambda id: _chosen(visit, id),
        "live": _LOOK if tried is None else _TRY_AGAIN if tried["Passes"] else _TRY,
    }
    if seen["IsOwn"]:
        return cen.tab_page(visit, "topology.html", "topology", **facts)
    return visit.page("topology.html", tabs=[], here="", **facts)


def _chosen(visit: Visit, id: str) -> str:
    """Where a click on an instance or a VPC leads: the source first, then the destination."""
    source, there = visit.query.get("from", ""), visit.query.get("to", "")
    asked = {"from": source, "to": id} if source and not there and source != id else {"from": id}
    return url("cen", visit["id"], "topology", **asked)


def _question(
    visit: Visit, seen: _Row, instances: list[_Row]
) -> tuple[Form, _Row | None, CloudError | None]:
    """From where to where a packet is to pass; the answer, if both are known."""
    vpcs = [*seen["Attachments"], *seen["GrantedVpcs"]]
    servers = (
        Option(row[_ID], row[_ID], row["DBInstanceDescription"] or row["PrivateIpAddress"])
        for row in instances
    )
    networks = (
        Option(
            row["VpcId"], row["VpcId"],
            f"VPC {row['CidrBlock']}"
            + ("" if row["VpcOwnerId"] == visit.who.uid else f" of {row['VpcOwnerId']}"),
        )
        for row in vpcs
    )  # fmt: skip
    options = (*servers, *networks)
    blocks = [r["CidrBlock"] for r in vpcs if r["VpcOwnerId"] != visit.who.uid]
    other = Option(_OTHER, "An instance of another account …")
    form = Form(
        (
            Field("from", "From", Kind.CHOICE, options=options),
            Field("to", "To", Kind.CHOICE, options=(*options, *([other] if blocks else []))),
            Field("other", "Its private address or ID", only_if=f"to={_OTHER}",
                  placeholder=f"within {' or '.join(blocks)}"),
        ),
        {"InvalidDBInstanceId.NotFound": "other", "InvalidVpcId.NotFound": "other"},
        dict(visit.query),
    )  # fmt: skip
    source, there = form.value("from"), form.value("to")
    if there == _OTHER:
        there = form.value("other").strip()
    if not source or not there:
        return form, None, None
    try:
        found = visit.call("landbridge.DescribeReachability", SourceId=source, DestinationId=there)
    except CloudError as problem:
        if missing(problem):
            form.refuse(problem)
            return form, None, None
        return form, None, problem
    return form, found, None


def _way(visit: Visit, seen: _Row, instances: list[_Row], tried: _Row) -> list[Step]:
    """The places that a packet comes through, and how far it gets."""
    here, there = tried["SourceVpcId"], tried["DestinationVpcId"]
    attached = {row["VpcId"]: row for row in seen["Attachments"]}
    steps = [Step(tried["SourceId"], _named(tried["SourceId"], here, instances))]
    if here != there:
        ends = [attached.get(vpc) for vpc in (here, there)]
        steps.append(_joint(here, ends[0]))
        if ends[0] and ends[1] and ends[0]["TransitRouterId"] != ends[1]["TransitRouterId"]:
            steps.append(_line(seen, ends[0], ends[1]))
        steps.append(_joint(there, ends[1]))
    last = tried["DestinationId"]
    if last != there:
        steps.append(Step(f"whitelist-{last}", f"whitelist of {last}", "whitelist"))
    typed = visit.query.get("other", "").strip() if visit.query.get("to") == _OTHER else last
    given = f", the address {typed}" if typed != last else ""
    steps.append(Step(last, _named(last, there, instances) + given))
    stop = _stop(steps, tried)
    for n, step in enumerate(steps):
        step.state = "passed" if n < stop else "stopped" if n == stop else "beyond"
    return steps


def _stop(steps: list[Step], tried: _Row) -> int:
    """Which step the packet does not get past; one more than there are if it passes."""
    hop, reason = tried["Hop"], tried["Reason"]
    if hop == "none":
        return len(steps)
    if hop == "instance":
        return 0 if reason.startswith(steps[0].id) else len(steps) - 1
    if hop in ("line", "bandwidth", "whitelist"):
        part = "whitelist" if hop == "whitelist" else "line"
        return next((n for n, step in enumerate(steps) if step.part == part), len(steps) - 1)
    joints = [n for n, step in enumerate(steps) if step.part == "attachment"]
    if hop == "port" or not joints:
        return len(steps) - 1
    named = [n for n in joints if steps[n].words.partition(" ")[0] in reason]
    return (named or joints)[0]


def _marks(way: list[Step], tried: _Row | None, source: str) -> dict[str, str]:
    """What is marked in the picture, and how; an end that is not in it by its VPC."""
    if tried is None:
        return {source: "chosen"}
    last = max(way[-2:], key=lambda step: step.state == "stopped")
    found = {step.id: step.state for step in way}
    found[tried["DestinationId"]] = last.state
    return {tried["DestinationVpcId"]: last.state, tried["SourceVpcId"]: way[0].state, **found}


def _named(id: str, vpc: str, instances: list[_Row]) -> str:
    known = next((row for row in instances if row["DBInstanceId"] == id), None)
    if known:
        return f"{id}, {known['PrivateIpAddress']}:{known['Port']}"
    return f"VPC {id}" if id == vpc else f"{id} in {vpc}"


def _joint(vpc: str, row: _Row | None) -> Step:
    if row is None:
        return Step(f"none-{vpc}", f"{vpc} is not connected to this CEN instance", "attachment")
    words = f"{vpc} attached to {row['TransitRouterId']}"
    return Step(row["TransitRouterAttachmentId"], words, "attachment")


def _line(seen: _Row, here: _Row, there: _Row) -> Step:
    ends = {here["TransitRouterId"], there["TransitRouterId"]}
    places = [regions.region(row["RegionId"]).name for row in (here, there)]
    for row in seen["Lines"]:
        if {row["TransitRouterId"], row["PeerTransitRouterId"]} == ends:
            words = f"{row['Bandwidth']} Mbit/s from {places[0]} to {places[1]}"
            return Step(row["TransitRouterAttachmentId"], words, "line")
    order = list(regions.regions())
    id = "|".join(sorted((here["RegionId"], there["RegionId"]), key=order.index))
    return Step(id, f"from {places[0]} to {places[1]}, without a connection", "line")


PAGES = (Page("/cen/{id}/topology", _show),)
