"""The network as it is wanted: what is refused before anything is built, and who may pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from fix_network import EVERYBODY, two_regions
from landbridge.errors import NetworkRefused
from landbridge.network.converge import Action, Change, converge
from landbridge.network.fabric import Observed, Outcome, ProbeAnswer
from landbridge.network.report import probe_report
from landbridge.network.things import (
    HIGHEST,
    UNALLOCATED,
    Attachment,
    Cen,
    Grant,
    Instance,
    Line,
    LineType,
    Thing,
    TransitRouter,
    Vpc,
    Vswitch,
    address,
    admits,
    network,
)
from landbridge.network.topology import KINDS, Topology
from landbridge.network.verdict import Hop

HERE, THERE = "pg-1hx", "pg-2b"


def joined() -> Topology:
    """vpc-1h and vpc-2b, of two accounts and in two regions, over cen-1 and a line."""
    topology = two_regions()
    for thing in (
        Attachment("at-1h", "tr-1h", "vpc-1h"),
        Grant("vpc-2b", "cen-1"),
        Attachment("at-2b", "tr-1b", "vpc-2b"),
        Line("line", "tr-1h", "tr-1b", 10_000_000),
    ):
        topology.put(thing)
    return topology


def refusal(topology: Topology, thing: Thing) -> NetworkRefused:
    """How the topology refuses a thing; it is the same afterwards."""
    before = topology.as_dict()
    with pytest.raises(NetworkRefused) as seen:
        topology.put(thing)
    assert topology.as_dict() == before
    return seen.value


@pytest.mark.parametrize(
    ("thing", "id", "words"),
    [
        (Vpc("v", "1", "r", network("169.254.8.0/24")), "network.bad_address", "169.254.0.0/16"),
        (Vpc("v", "1", "r", network("96.0.0.0/3")), "network.bad_address", "100.64.0.0/10"),
        (Vswitch("v", "vpc-0", "z", network("10.0.0.0/24")), "network.unknown", "VPC vpc-0"),
        (Vswitch("v", "vpc-1h", "z", network("10.20.0.0/24")), "network.bad_address", "part of"),
        (Vswitch("v", "vpc-1h", "z", network("10.10.9.0/30")), "network.bad_address", "at least 8"),
        (Vswitch("v", "vpc-1h", "z", network("10.10.0.0/23")), "network.overlap", "vsw-1h"),
        (Instance("i", "v-0", address("10.10.1.9")), "network.unknown", "v-0"),
        (Instance("i", "vsw-1h", address("10.10.2.9")), "network.bad_address", "no free address"),
        (Instance("i", "vsw-1h", address("10.10.1.0")), "network.bad_address", "no free address"),
        (Instance("i", "vsw-1h", address("10.10.1.253")), "network.bad_address", "gateway"),
        (Instance("i", "vsw-1h", address("10.10.1.255")), "network.bad_address", "no free address"),
        (Instance("i", "vsw-1h", address("10.10.1.5")), "network.address_taken", "pg-1hx"),
        (Instance("i", "vsw-1h", address("10.10.1.9"), 70000), "network.bad_address", "no port"),
        (Grant("vpc-0", "cen-1"), "network.unknown", "vpc-0"),
        (Grant("vpc-1h", "cen-0"), "network.unknown", "cen-0"),
        (TransitRouter("tr", "cen-0", "hangzhou"), "network.unknown", "cen-0"),
        (TransitRouter("tr", "cen-1", "hangzhou"), "network.duplicate", "tr-1h"),
        (Attachment("at", "tr-0", "vpc-1h"), "network.unknown", "tr-0"),
        (Attachment("at", "tr-1h", "vpc-0"), "network.unknown", "vpc-0"),
        (Attachment("at", "tr-1h", "vpc-1n"), "network.wrong_region", "beijing"),
        (Attachment("at", "tr-2h", "vpc-1h"), "network.duplicate", "at-1h"),
        (Attachment("at", "tr-1h", "vpc-2h"), "network.no_grant", "account 2"),
        (Line("l", "tr-1h", "tr-0"), "network.unknown", "tr-0"),
        (Line("l", "tr-1h", "tr-2b"), "network.bad_line", "one CEN"),
        (Line("l", "tr-1h", "tr-1h"), "network.bad_line", "two transit routers"),
        (Line("l", "tr-1b", "tr-1h"), "network.duplicate", "line"),
        (Line("line", "tr-1h", "tr-1b", 0), "network.bad_line", "1 to"),
        (Line("line", "tr-1h", "tr-1b", -5), "network.bad_line", "1 to"),
        (Line("line", "tr-1h", "tr-1b", HIGHEST + 1), "network.bad_line", "1 to"),
        (Vswitch("vpc-1h", "vpc-1h", "z", network("10.10.9.0/24")), "network.duplicate", "Vpc"),
        (Cen("pg-1hx", "1"), "network.duplicate", "Instance"),
    ],
)
def test_what_breaks_a_rule_is_refused_and_changes_nothing(
    thing: Thing, id: str, words: str
) -> None:
    error = refusal(joined(), thing)
    assert error.id == id
    assert words in error.message


@pytest.mark.parametrize(
    ("shelf", "id", "field", "value"),
    [
        ("vpcs", "vpc-1h", "cidr", network("10.0.0.0/8")),
        ("vpcs", "vpc-1h", "account", "3"),
        ("vswitches", "vsw-1h", "cidr", network("10.10.7.0/24")),
        ("vswitches", "vsw-1h", "vpc", "vpc-1n"),
        ("cens", "cen-1", "owner", "2"),
        ("transit_routers", "tr-1h", "cen", "cen-2"),
        ("transit_routers", "tr-1h", "region", "shanghai"),
    ],
)
def test_what_others_stand_on_does_not_change(
    shelf: str, id: str, field: str, value: object
) -> None:
    topology = joined()
    thing = getattr(topology, shelf)[id]
    topology.put(thing)
    assert refusal(topology, replace(thing, **{field: value})).id == "network.in_use"


def test_what_nothing_stands_on_may_change() -> None:
    topology = joined()
    topology.put(Vpc("vpc-x", "1", "beijing", network("10.50.0.0/16")))
    topology.put(Vpc("vpc-x", "2", "hangzhou", network("10.60.0.0/16")))
    topology.put(replace(topology.lines["line"], bits_per_second=1))
    topology.put(replace(topology.instances[HERE], port=6000))


@pytest.mark.parametrize("block", ["10.10.0.0/16", "10.10.128.0/17", "10.0.0.0/8", "10.10.1.5/32"])
def test_blocks_that_overlap_never_meet_in_one_cen(block: str) -> None:
    topology = joined()
    topology.put(Vpc("vpc-x", "1", "beijing", network(block)))
    error = refusal(topology, Attachment("at-x", "tr-1b", "vpc-x"))
    assert error.id == "network.overlap"
    for word in ("vpc-x", "vpc-1h", "account 1", block, "10.10.0.0/16", "cen-1"):
        assert word in error.message
    topology.put(Grant("vpc-x", "cen-2"))
    topology.put(Attachment("at-x", "tr-2b", "vpc-x"))


#: An address of 10.0.0.0/8, as a number.
_IN_TEN = st.integers(10 * 2**24, 11 * 2**24 - 1)


def test_neighbouring_blocks_do_not_overlap() -> None:
    topology = joined()
    topology.put(Vpc("vpc-x", "1", "beijing", network("10.11.0.0/16")))
    topology.put(Attachment("at-x", "tr-1b", "vpc-x"))


@given(st.integers(8, 28), st.integers(8, 28), _IN_TEN, _IN_TEN)
def test_two_blocks_fit_into_one_cen_exactly_if_they_share_no_address(
    length_a: int, length_b: int, a: int, b: int
) -> None:
    blocks = [IPv4Network((n, p), strict=False) for n, p in ((a, length_a), (b, length_b))]
    shares = blocks[0][0] <= blocks[1][-1] and blocks[1][0] <= blocks[0][-1]
    topology = Topology()
    topology.put(Cen("cen", "1"))
    topology.put(TransitRouter("tr", "cen", "r"))
    for number, block in enumerate(blocks):
        topology.put(Vpc(f"vpc-{number}", "1", "r", block))
    topology.put(Attachment("at-0", "tr", "vpc-0"))
    if shares:
        assert refusal(topology, Attachment("at-1", "tr", "vpc-1")).id == "network.overlap"
    else:
        topology.put(Attachment("at-1", "tr", "vpc-1"))


@pytest.mark.parametrize(
    ("shelf", "id", "user"),
    [
        ("vpcs", "vpc-1h", "vsw-1h"), ("vswitches", "vsw-1h", "pg-1hx"), ("cens", "cen-1", ""),
        ("transit_routers", "tr-1h", "at-1h"),
    ],
)  # fmt: skip
def test_what_others_stand_on_stays(shelf: str, id: str, user: str) -> None:
    topology = joined()
    with pytest.raises(NetworkRefused) as seen:
        topology.remove(getattr(topology, shelf)[id])
    assert seen.value.id == "network.in_use"
    assert user in seen.value.message


def test_everything_can_be_removed_from_the_top() -> None:
    topology = joined()
    for thing in reversed(list(topology.things())):
        topology.remove(thing)
    assert topology == Topology()
    topology.remove(Cen("cen-0", "1"))


def _change(**fields: Any) -> Callable[[Topology], None]:
    return lambda topology: topology.put(replace(topology.instances[THERE], **fields))


def _drop(shelf: str, id: str) -> Callable[[Topology], None]:
    return lambda topology: topology.remove(getattr(topology, shelf)[id])


@pytest.mark.parametrize(
    ("change", "hop", "words"),
    [
        (lambda topology: None, Hop.NONE, "nothing stands in the way"),
        (_drop("attachments", "at-1h"), Hop.ATTACHMENT, "vpc-1h has no attachment"),
        (_drop("attachments", "at-2b"), Hop.ATTACHMENT, "vpc-2b has no attachment"),
        (_drop("lines", "line"), Hop.LINE, "no line between hangzhou and beijing"),
        (
            lambda topology: topology.put(Line("line", "tr-1h", "tr-1b")),
            Hop.BANDWIDTH,
            "has no bandwidth (1 kbit/s)",
        ),
        (_change(whitelist=()), Hop.WHITELIST, "whitelist of pg-2b lacks 10.10.0.0/16"),
        (_change(whitelist=(network("10.10.1.6"),)), Hop.WHITELIST, "pg-2b"),
        (_change(whitelist=(network("10.10.1.5"),)), Hop.NONE, "nothing"),
    ],
)
def test_the_first_obstacle_decides(
    change: Callable[[Topology], None], hop: Hop, words: str
) -> None:
    topology = joined()
    change(topology)
    verdict = topology.verdict(HERE, THERE)
    assert verdict.hop is hop
    assert words in verdict.reason
    assert verdict.passes == (hop is Hop.NONE)
    assert verdict.reaches == (hop in (Hop.NONE, Hop.BANDWIDTH, Hop.WHITELIST))


def test_a_vpc_that_no_cen_may_attach_lacks_a_grant_first() -> None:
    topology = Topology()
    for number, cidr in enumerate(("10.1.0.0/16", "10.2.0.0/16")):
        topology.put(Vpc(f"vpc-{number}", str(number), "r", network(cidr)))
        block = network(cidr.replace("/16", "/24"))
        topology.put(Vswitch(f"vsw-{number}", f"vpc-{number}", "r-a", block))
        topology.put(Instance(f"pg-{number}", f"vsw-{number}", block[5], whitelist=EVERYBODY))
    topology.put(Cen("cen", "0"))
    topology.put(TransitRouter("tr", "cen", "r"))
    topology.put(Attachment("at-0", "tr", "vpc-0"))
    assert topology.verdict("pg-0", "pg-1").hop is Hop.GRANT
    assert "account 1" in topology.verdict("pg-0", "pg-1").reason
    topology.put(Grant("vpc-1", "cen"))
    assert topology.verdict("pg-0", "pg-1").hop is Hop.ATTACHMENT


def test_within_a_vpc_only_the_whitelist_decides() -> None:
    topology = two_regions()
    assert topology.verdict("pg-1hx", "pg-1hy").passes
    topology.put(replace(topology.instances["pg-1hy"], whitelist=()))
    assert topology.verdict("pg-1hx", "pg-1hy").hop is Hop.WHITELIST
    assert topology.verdict("pg-1hy", "pg-1hx").passes


def test_attachments_of_different_cens_never_meet() -> None:
    topology = joined()
    topology.remove(topology.attachments["at-2b"])
    topology.put(Attachment("at-2b", "tr-2b", "vpc-2b"))
    verdict = topology.verdict(HERE, THERE)
    assert (verdict.hop, verdict.reaches) == (Hop.CEN, False)
    assert "vpc-1h is in cen-1" in verdict.reason
    assert "vpc-2b in cen-2" in verdict.reason


def test_an_instance_that_is_not_there_is_named() -> None:
    for pair in ((HERE, "pg-0"), ("pg-0", HERE)):
        verdict = joined().verdict(*pair)
        assert (verdict.hop, verdict.reaches) == (Hop.INSTANCE, False)
        assert "pg-0" in verdict.reason


_FOUR = ("1h", "2h", "2b", "1n")
_ORDERS: list[Thing] = [
    *(Attachment(f"at-{v}", f"tr-{c}{r}", f"vpc-{v}") for v in _FOUR for c in "12" for r in "hb"),
    *(Grant(f"vpc-{v}", f"cen-{c}") for v in _FOUR for c in "12"),
    *(Line(f"line-{c}", f"tr-{c}h", f"tr-{c}b", rate) for c in "12" for rate in (None, 5)),
]


@given(st.lists(st.sampled_from(_ORDERS), max_size=25))
def test_the_model_is_whole_after_any_orders(steps: list[Thing]) -> None:
    topology = two_regions()
    for step in steps:
        try:
            topology.put(step)
        except NetworkRefused as error:
            assert error.message
    for cen in topology.cens.values():
        members = [vpc for _, vpc in topology.attached(cen.id)]
        assert all(topology.is_granted(vpc, cen) for vpc in members)
        for number, vpc in enumerate(members):
            assert not any(vpc.cidr.overlaps(other.cidr) for other in members[:number])
    for a in topology.instances:
        for b in topology.instances:
            there, back = topology.verdict(a, b), topology.verdict(b, a)
            assert there.reaches == back.reaches, "attachments and lines work both ways"
            if there.reaches and topology.vpc_of(a) != topology.vpc_of(b):
                ends = [topology.attachment_of(topology.vpc_of(i).id) for i in (a, b)]
                assert None not in ends
    again = Topology.from_dict(json.loads(json.dumps(topology.as_dict())))
    assert again == topology


def test_a_stored_topology_that_breaks_a_rule_is_refused() -> None:
    raw = joined().as_dict()
    raw["grants"] = []
    with pytest.raises(NetworkRefused) as seen:
        Topology.from_dict(raw)
    assert seen.value.id == "network.no_grant"


def test_what_is_stored_reads_back_the_same() -> None:
    topology = joined()
    topology.put(Line("line", "tr-1h", "tr-1b", None, LineType.PLATINUM))
    raw = json.loads(json.dumps(topology.as_dict()))
    assert raw["instances"][0]["whitelist"] == ["0.0.0.0/0"]
    assert Topology.from_dict(raw) == topology
    assert list(raw) == list(KINDS)


def test_addresses_are_read_strictly() -> None:
    assert network("10.0.0.5") == IPv4Network("10.0.0.5/32")
    for read, text in (
        (network, "10.0.0.5/24"), (network, "10.0.0.0/33"), (network, "::/0"), (network, ""),
        (address, "10.0.0"), (address, "localhost"), (address, "10.0.0.1/32"),
    ):  # fmt: skip
        with pytest.raises(NetworkRefused) as seen:
            read(text)
        assert seen.value.id == "network.bad_address"


def test_what_is_derived_from_a_thing() -> None:
    assert str(Vswitch("v", "vpc", "z", network("10.1.2.0/24")).gateway) == "10.1.2.253"
    assert str(Vswitch("v", "vpc", "z", network("10.1.2.8/29")).gateway) == "10.1.2.13"
    assert Line("l", "a", "b").rate == UNALLOCATED == 1000
    assert Line("l", "a", "b", 7).rate == 7
    assert Grant("vpc", "cen").id == "vpc:cen"
    assert admits(map(network, ("10.0.0.0/8", "9.9.9.9")), IPv4Address("9.9.9.9"))
    assert not admits((), IPv4Address("9.9.9.9"))


class Machine:
    """A fabric that shows one thing to every probe."""

    def __init__(self, outcome: Outcome, words: str = "") -> None:
        self.answer = ProbeAnswer(outcome, 0.1, words)

    def probe(self, client: str, address: IPv4Address, port: int, timeout: float) -> ProbeAnswer:
        assert (client, str(address), port, timeout) == (HERE, "10.30.1.5", 5432, 1.5)
        return self.answer


_ALL = set(Outcome)


@pytest.mark.parametrize(
    ("change", "agreeing"),
    [
        (lambda topology: None, {Outcome.OK, Outcome.REFUSED}),
        (_drop("lines", "line"), {Outcome.UNREACHABLE, Outcome.TIMEOUT}),
        (_drop("attachments", "at-2b"), {Outcome.UNREACHABLE, Outcome.TIMEOUT}),
        (_change(whitelist=()), {Outcome.NOT_WHITELISTED, Outcome.REFUSED}),
        (
            lambda topology: topology.put(Line("line", "tr-1h", "tr-1b")),
            _ALL - {Outcome.UNREACHABLE},
        ),
    ],
)
def test_a_report_says_when_machine_and_model_disagree(
    change: Callable[[Topology], None], agreeing: set[Outcome]
) -> None:
    topology = joined()
    change(topology)
    for outcome in Outcome:
        machine: Any = Machine(outcome, "in its words")
        report = probe_report(machine, topology, HERE, THERE, 1.5)
        assert report.agrees == (outcome in agreeing), outcome
        assert ("disagree" in report.sentence) == (not report.agrees)
        if not report.agrees:
            assert outcome.value in report.sentence
            assert "in its words" in report.sentence
        elif outcome is Outcome.REFUSED:
            assert (report.hop, report.sentence) == (Hop.PORT, "nothing listens on 5432")
        else:
            assert (report.hop, report.sentence) == (report.model.hop, report.model.reason)
        assert report.passes == (outcome is Outcome.OK and report.model.hop is Hop.NONE)


def test_converging_removes_first_then_builds_in_the_order_things_stand() -> None:
    told: list[str] = []

    class Recorder:
        def gc(self, valid: set[str]) -> list[Observed]:
            assert "vpc-1h" in valid
            assert "cen-1" not in valid, "a CEN is nothing on the machine"
            told.append("gc")
            return [Observed("line", "old")]

        def observe(self) -> list[Observed]:
            return [Observed("vpc", "vpc-1h")]

        def __getattr__(self, verb: str) -> Callable[[Thing], None]:
            return lambda thing: told.append(f"{verb} {thing.id}")

    machine: Any = Recorder()
    changes = converge(machine, joined())
    assert told[0] == "gc"
    kinds = [line.split()[0] for line in told[1:]]
    order = ["vpc", "vswitch", "endpoint", "transit_router", "attachment", "line"]
    assert list(dict.fromkeys(kinds)) == [f"ensure_{kind}" for kind in order]
    assert changes[0] == Change(Action.DROPPED, "line", "old")
    assert Change(Action.MADE, "vpc", "vpc-1h") not in changes, "it was there"
    assert Change(Action.MADE, "endpoint", HERE) in changes
    assert len(changes) == len(told) - 1
