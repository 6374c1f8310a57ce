"""A packet passes exactly when the model says so: every ordered pair, on every driver.

A random walk attaches, detaches, joins, parts, grants and revokes with two CENs and two
accounts; after every step all pairs are probed really, and it counts who answered, not only
that somebody did. A set walk does the same with PostgreSQL servers and libpq.
"""

from __future__ import annotations

import contextlib

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from fix_network import EVERYBODY, Mode, Net, matrix, two_regions
from landbridge.errors import NetworkRefused
from landbridge.network.converge import converge
from landbridge.network.fabric import Outcome, ProbeAnswer
from landbridge.network.things import Attachment, Grant, Instance, Line
from landbridge.network.topology import Topology
from landbridge.network.verdict import Hop, Verdict

_VPCS = st.sampled_from(sorted(two_regions().vpcs))
_CENS = st.sampled_from(["1", "2"])
_INSTANCES = sorted(two_regions().instances)
#: A line that is wide enough for every probe, and one without bandwidth.
_RATES = st.sampled_from([100_000_000, 10_000_000, None])
_SILENT = (Outcome.UNREACHABLE, Outcome.TIMEOUT)


class Walk(RuleBasedStateMachine):
    """Random steps; the model and the machine take them together."""

    net: Net

    @initialize()
    def begin(self) -> None:
        self.topology = two_regions()
        converge(self.net.fabric, self.topology)

    @rule(vpc=_VPCS, cen=_CENS)
    def attach(self, vpc: str, cen: str) -> None:
        region = self.topology.vpcs[vpc].region
        attachment = Attachment(f"at-{vpc}", f"tr-{cen}{region[0]}", vpc)
        if self._put(attachment):
            self.net.fabric.ensure_attachment(attachment)

    @rule(vpc=_VPCS)
    def detach(self, vpc: str) -> None:
        self._remove("attachments", f"at-{vpc}", self.net.fabric.drop_attachment)

    @rule(cen=_CENS, rate=_RATES, turned=st.booleans())
    def join(self, cen: str, rate: int | None, turned: bool) -> None:
        ends = (f"tr-{cen}b", f"tr-{cen}h") if turned else (f"tr-{cen}h", f"tr-{cen}b")
        line = Line(f"line-{cen}", *ends, rate)
        if self._put(line):
            self.net.fabric.ensure_line(line)

    @rule(cen=_CENS)
    def part(self, cen: str) -> None:
        self._remove("lines", f"line-{cen}", self.net.fabric.drop_line)

    @rule(vpc=_VPCS, cen=_CENS)
    def grant(self, vpc: str, cen: str) -> None:
        self._put(Grant(vpc, f"cen-{cen}"))

    @rule(vpc=_VPCS, cen=_CENS)
    def revoke(self, vpc: str, cen: str) -> None:
        self.topology.grants.pop(f"{vpc}:cen-{cen}", None)

    @rule(id=st.sampled_from(_INSTANCES), whom=st.sampled_from(_INSTANCES))
    def whitelist(self, id: str, whom: str) -> None:
        """One VPC alone, or everybody; where pg_hba decides, the fabric lets all in."""
        old = self.topology.instances[id]
        only = EVERYBODY if id == whom else (self.topology.vpc_of(whom).cidr,)
        new = Instance(old.id, old.vswitch, old.address, old.port, only)
        if self.net.mode is Mode.RELAY:
            self.topology.put(new)
            self.net.fabric.ensure_endpoint(new)

    @rule()
    def converge_again(self) -> None:
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

    def _put(self, thing: Attachment | Line | Grant) -> bool:
        with contextlib.suppress(NetworkRefused):
            self.topology.put(thing)
            return True
        return False

    def _remove(self, shelf: str, id: str, drop: object) -> None:
        getattr(self.topology, shelf).pop(id, None)
        assert callable(drop)
        drop(id)


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
        ),
    )  # fmt: skip


def test_packets_pass_exactly_when_the_model_says_so(net: Net) -> None:
    _walk(net, examples=3, steps=12, same=True)


@pytest.mark.slow
def test_packets_pass_exactly_when_the_model_says_so_on_long_walks(net: Net) -> None:
    _walk(net, examples=15, steps=40, same=False)
