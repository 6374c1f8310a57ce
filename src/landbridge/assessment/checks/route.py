"""The way between the two sides, as measured over a real connection."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network

from ...postgres.units import duration, rate, size
from ..facts import Facts
from ..model import Fix, Verdict, error, info, passed, warning
from ._of import GIVE_BANDWIDTH, carried, copy_seconds, source

#: Every IPv6 path carries this much (RFC 8200, section 5); a smaller one is a misconfiguration.
SMALLEST_MTU = 1280
#: A full copy beyond this asks for a plan: more things happen in a day than in an hour.
LONG_COPY = 24 * 3600.0


def cidr(facts: Facts) -> Iterator[Verdict]:
    overlaps = [
        (a, b)
        for a in facts.plan.source_cidrs or ()
        for b in facts.plan.cidrs or ()
        if _overlap(ip_network(a, strict=False), ip_network(b, strict=False))
    ]
    for theirs, ours in overlaps:
        yield error(
            f"The source's network {theirs} overlaps the destination's {ours}: no route can tell"
            " the two apart.",
            "Move one side to a network with another address block.",
            source=theirs,
            destination=ours,
        )
    if not overlaps:
        yield passed("the address blocks do not overlap")


def _overlap(a: IPv4Network | IPv6Network, b: IPv4Network | IPv6Network) -> bool:
    return a.version == b.version and a.overlaps(b)


def line(facts: Facts) -> Iterator[Verdict]:
    found = facts.reached.line
    assert found is not None
    speed = found.rate
    if speed is None:
        yield _stalled(facts, found.bytes)
        return
    if facts.source is None:
        yield passed(f"the line carries {rate(speed)}", rate=speed)
        return
    seconds = copy_seconds(facts) or 0.0
    of = source(facts)
    said = (
        f"The line carries {rate(speed)}; the full copy of {size(of.size)} takes about"
        f" {duration(seconds)} at {rate(carried(facts))}, before compression."
    )
    data = {"rate": speed, "size": of.size, "seconds": seconds}
    if seconds > LONG_COPY:
        yield warning(
            said,
            "Plan for it: more bandwidth, compression (PostgreSQL 15 and later compress on the"
            " source), or a quieter time.",
            **data,
        )
    else:
        yield passed(said, **data)


def _stalled(facts: Facts, arrived: int) -> Verdict:
    """A row of the transfer takes several packets of full size: where one arrived, they pass."""
    if arrived:
        return error(
            f"A login passes, but a transfer stalled after {size(arrived)}. Packets of full size"
            " do arrive, so most probably the line between the two networks has next to no"
            " bandwidth (one to which none is allocated carries 1 kbit/s: enough to connect, not"
            " to work), or it broke at this moment.",
            GIVE_BANDWIDTH,
            arrived=arrived,
        )
    return error(
        "A login passes, but of a transfer nothing arrived: either the line between the two"
        " networks has next to no bandwidth (one to which none is allocated carries 1 kbit/s:"
        " enough to connect, not to work), or the path drops large packets (MTU), or a firewall"
        " inspects them.",
        f"{GIVE_BANDWIDTH} If it has some, find the largest packet the path carries and lower the"
        " MTU of the interface or the tunnel to it.",
        Fix("shell", "destination", (f"ping -M do -s 1472 {facts.reached.numeric}",)),
        arrived=arrived,
    )


def mtu(facts: Facts) -> Iterator[Verdict]:
    found = facts.reached.line
    assert found is not None and found.mtu is not None
    if found.mtu < SMALLEST_MTU:
        yield warning(
            f"Packets of at most {found.mtu} bytes pass, less than the {SMALLEST_MTU} that"
            " every network should carry.",
            "Check tunnels on the way; each packet carries less, so the copy is slower.",
            Fix("shell", "destination", (f"tracepath {facts.reached.numeric}",)),
            mtu=found.mtu,
        )
    else:
        yield passed(f"packets of {found.mtu} bytes pass", mtu=found.mtu)


def latency(facts: Facts) -> Iterator[Verdict]:
    trip = source(facts).server.round_trip
    if trip > 0.1:
        yield info(
            f"A question and its answer take {duration(trip)}. The copy does not suffer; the"
            " write outage of a switchover grows by a few such round trips.",
            "Nothing to repair; expect it.",
            round_trip=trip,
        )
    else:
        yield passed(f"a question and its answer take {duration(trip)}", round_trip=trip)
