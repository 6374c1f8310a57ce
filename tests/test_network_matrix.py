"""A packet passes exactly when the model says so: every ordered pair, on every driver.

A random walk attaches, detaches, joins, parts, grants and revokes with two CENs and two
accounts; after every step all pairs are probed really, and it counts who answered, not only
that somebody did. A set walk does the same with PostgreSQL servers and libpq.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from fix_network import EVERYBODY, Mode, Net, hba, matrix, two_regions
from landbridge.errors import NetworkRefused
from landbridge.network.converge import Action, Change, converge
from landbridge.network.fabric import Outcome, ProbeAnswer
from landbridge.network.report import probe_report
from landbridge.network.things import Attachment, Grant, Instance, Line, Thing, network
from landbridge.network.topology import Topology
from landbridge.network.verdict import Hop, Verdict
from landbridge.postgres.process import wait_until

_VPCS = st.sampled_from(sorted(two_regions().vpcs))
_CENS = st.sampled_from(["1", "2"])
_INSTANCES = sorted(two_regions().instances)
#: A line that is wide enough for every probe, and one without bandwidth.
_RATES = st.sampled_from([100_000_000, 10_000_000, None])
#: Which CEN each of the four VPCs is attached to, if any.
_HOMES = st.tuples(*[st.sampled_from(["1", "2", None])] * 4)
_SILENT = (Outcome.UNREACHABLE, Outcome.TIMEOUT)


HERE, THERE = "pg-1hx", "pg-2b"


class Walk(RuleBasedStateMachine):
    """Random steps; the model and the machine take them together."""

    net: Net

    @initialize(
        homes=st.tuples(*[st.sampled_from(["1", "2", None])] * 4), rates=st.tuples(_RATES, _RATES)
    )
    def begin(self, homes: tuple[str | None, ...], rates: tuple[int | None, int | None]) -> None:
        """Everything granted, most of it attached: nearly every random beginning is silent."""
        self.topology = two_regions()
        for vpc, cen in zip(list(self.topology.vpcs), homes, strict=True):
            for each in ("1", "2"):
                self.grant(vpc, each)
            if cen is not None:
                self._put(self._attachment(vpc, cen))
        for cen, rate in zip(("1", "2"), rates, strict=True):
            self._put(Line(f"line-{cen}", f"tr-{cen}h", f"tr-{cen}b", rate))
        converge(self.net.fabric, self.topology)

    @rule(vpc=_VPCS, cen=_CENS)
    def attach_or_detach(self, vpc: str, cen: str) -> None:
        attachment = self._attachment(vpc, cen)
        if attachment.id in self.topology.attachments:
            self.topology.remove(self.topology.attachments[attachment.id])
            self.net.fabric.drop_attachment(attachment.id)
        elif self._put(attachment):
            self.net.fabric.ensure_attachment(attachment)

    @rule(cen=_CENS, rate=_RATES, turned=st.booleans())
    def join_or_part(self, cen: str, rate: int | None, turned: bool) -> None:
        """Order a line, another bandwidth for it, or, for the one it has, its end."""
        ends = (f"tr-{cen}b", f"tr-{cen}h") if turned else (f"tr-{cen}h", f"tr-{cen}b")
        line = Line(f"line-{cen}", *ends, rate)
        old = self.topology.lines.get(line.id)
        if old is not None and old.bits_per_second == rate:
            self.topology.remove(old)
            self.net.fabric.drop_line(old.id)
        elif self._put(line):
            self.net.fabric.ensure_line(line)

    @rule(vpc=_VPCS, cen=_CENS)
    def grant(self, vpc: str, cen: str) -> None:
        self._put(Grant(vpc, f"cen-{cen}"))

    @rule(vpc=_VPCS, cen=_CENS)
    def revoke(self, vpc: str, cen: str) -> None:
        with contextlib.suppress(NetworkRefused):  # While an attachment needs it.
            self.topology.remove(Grant(vpc, f"cen-{cen}"))

    @rule(id=st.sampled_from(_INSTANCES), whom=st.sampled_from(_INSTANCES))
    def whitelist(self, id: str, whom: str) -> None:
        """One VPC alone, or everybody; where pg_hba decides, the fabric lets all in."""
        old = self.topology.instances[id]
        only = EVERYBODY if id == whom else (self.topology.vpc_of(whom).cidr,)
        new = Instance(old.id, old.vswitch, old.address, old.port, only)
        if self.net.mode is Mode.RELAY:
            self.topology.put(new)
            self.net.fabric.ensure_endpoint(new)

    def teardown(self) -> None:
        """Nothing stands but what was ordered."""
        if hasattr(self, "topology"):
            assert converge(self.net.fabric, self.topology) == []

    @invariant()
    def machine_and_model_agree(self) -> None:
        if not hasattr(self, "topology"):
            return
        for pair, seen in matrix(self.net, self.topology).items():
            client, server = pair.split(">")
            verdict = self.topology.verdict(client, server)
            assert fits(self.net, self.topology, verdict, client, server, seen), (
                f"{pair}: {verdict.hop.value} ({verdict.reason}), seen {seen}"
            )

    def _attachment(self, vpc: str, cen: str) -> Attachment:
        return Attachment(f"at-{vpc}", f"tr-{cen}{self.topology.vpcs[vpc].region[0]}", vpc)

    def _put(self, thing: Attachment | Line | Grant) -> bool:
        with contextlib.suppress(NetworkRefused):
            self.topology.put(thing)
            return True
        return False


def fits(
    net: Net, topology: Topology, verdict: Verdict, client: str, server: str, seen: ProbeAnswer
) -> bool:
    """Whether what was seen is what the model says, answered by the right server."""
    if seen.outcome is Outcome.OK:
        right = seen.words.startswith(f"{server} sees ")
        if net.fabric.capabilities().real_private_ip:
            right = right and seen.words.endswith(f" {topology.instances[client].address}")
        return right and verdict.hop in (Hop.NONE, Hop.BANDWIDTH)
    if verdict.hop is Hop.BANDWIDTH:
        return seen.outcome in (Outcome.TIMEOUT, Outcome.NOT_WHITELISTED)
    if verdict.hop is Hop.WHITELIST:
        mine = str(topology.instances[client].address)
        return seen.outcome is Outcome.NOT_WHITELISTED and mine in seen.words
    return seen.outcome in _SILENT and not verdict.reaches


def _walk(net: Net, examples: int, steps: int, *, same: bool) -> None:
    topology = two_regions()
    converge(net.fabric, topology)
    net.identify(topology, *topology.instances)
    machine = type("Walk", (Walk,), {"net": net})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=same,
            database=None, suppress_health_check=list(HealthCheck), print_blob=False,
            phases=[Phase.generate],  # A smaller walk would take minutes of waiting to find.
        ),
    )  # fmt: skip


class Procedure:
    """The steps of a person who joins two accounts, each with what both sides then see."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.topology = two_regions()
        converge(net.fabric, self.topology)
        self.servers = {id: net.postgres(self.topology, id) for id in (HERE, THERE)}

    def put(self, thing: Thing) -> None:
        """Order something, and see it built and nothing else."""
        self.topology.put(thing)
        converge(self.net.fabric, self.topology)

    def let_in(self, id: str, *blocks: str) -> None:
        """Replace a whitelist."""
        instance = replace(self.topology.instances[id], whitelist=tuple(map(network, blocks)))
        self.topology.put(instance)
        endpoint = self.net.fabric.ensure_endpoint(instance)
        self.servers[id].write_hba(hba(instance, endpoint))
        self.servers[id].reload()

    def sees(self, hop: Hop, *words: str) -> None:
        """Both sides are stopped at this hop, in these words, and machine and model agree."""
        for client, server in ((HERE, THERE), (THERE, HERE)):
            report = probe_report(self.net.fabric, self.topology, client, server, 1.0)
            assert report.agrees, report
            assert report.hop is hop, report
            assert all(word in report.sentence for word in words), report

    def ask(self, client: str, server: str) -> tuple[str, str]:
        """Through libpq: who answers, and with which address it sees the client."""
        path = self.net.fabric.path(client, server)
        conninfo = f"host={path.host} hostaddr={path.hostaddr} port={path.port} dbname=postgres"
        psql = self.servers[client].distribution.program("psql")
        query = "SELECT current_setting('cluster_name'), host(inet_client_addr())"
        told = self.net.run(
            client, psql, "-XAt", "-F", " ", f"{conninfo} user=pgsql", "-c", query
        ).split()
        return told[0], told[1]


#: As an ordinary user it is the same driver.
_NOT_ROOTLESS = [
    pytest.param(mode, id=mode.value, marks=[pytest.mark.slow] * (mode is Mode.ROOTLESS))
    for mode in Mode
]


@pytest.mark.parametrize("net", _NOT_ROOTLESS, indirect=True)
def test_the_procedure_of_two_accounts_is_real_at_every_step(net: Net) -> None:
    step = Procedure(net)
    step.sees(Hop.ATTACHMENT)
    step.put(Attachment("at-1h", "tr-1h", "vpc-1h"))
    step.sees(Hop.ATTACHMENT, "vpc-2b has no attachment")
    with pytest.raises(NetworkRefused) as refused:
        step.put(Attachment("at-2b", "tr-1b", "vpc-2b"))
    assert refused.value.id == "network.no_grant"
    step.put(Grant("vpc-2b", "cen-1"))
    step.put(Attachment("at-2b", "tr-1b", "vpc-2b"))
    step.sees(Hop.LINE, "no line between", "hangzhou", "beijing")
    step.put(Line("line", "tr-1h", "tr-1b"))
    step.sees(Hop.BANDWIDTH, "1 kbit/s")
    step.put(Line("line", "tr-1h", "tr-1b", 100_000_000))
    step.sees(Hop.NONE)
    for client, server in ((HERE, THERE), (THERE, HERE)):
        who, whom = step.ask(client, server)
        assert who == server
        if net.fabric.capabilities().real_private_ip:
            assert whom == str(step.topology.instances[client].address)
    step.topology.remove(step.topology.lines["line"])
    net.fabric.drop_line("line")
    step.sees(Hop.LINE)
    step.put(Line("line", "tr-1h", "tr-1b", 100_000_000))
    step.let_in(HERE, "10.20.0.0/16")
    step.let_in(THERE, "10.20.0.0/16")
    assert wait_until(lambda: _outcome(step) is Outcome.NOT_WHITELISTED, 10)
    step.sees(Hop.WHITELIST, "whitelist of")
    address = str(step.topology.instances[HERE].address)
    assert address in net.probe(step.topology, HERE, THERE, 5).words
    step.let_in(THERE, f"{address}/32")
    assert wait_until(lambda: _outcome(step) is Outcome.OK, 10), "adding an entry works at once"
    step.topology.remove(step.topology.attachments["at-2b"])
    dropped = converge(net.fabric, step.topology)
    assert dropped == [Change(Action.DROPPED, "attachment", "at-2b")]
    step.sees(Hop.ATTACHMENT, "vpc-2b has no attachment")


def _outcome(step: Procedure) -> Outcome:
    return step.net.probe(step.topology, HERE, THERE, 5).outcome


def test_packets_pass_exactly_when_the_model_says_so(net: Net) -> None:
    # As an ordinary user it is the same driver: the long walks take it further.
    _walk(net, examples=1 if net.mode is Mode.ROOTLESS else 2, steps=8, same=True)


@pytest.mark.slow
def test_packets_pass_exactly_when_the_model_says_so_on_long_walks(net: Net) -> None:
    _walk(net, examples=15, steps=40, same=False)
