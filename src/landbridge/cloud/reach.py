"""Whether a packet passes between two places, as far as the asking account may know."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import IPv4Address

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..errors import NetworkFailed
from ..network import Fabric, Topology
from ..network.fabric import ProbeAnswer
from ..network.verdict import PASSES, Hop, Verdict, decide_vpcs
from . import fabric
from .accounts import Account
from .attachments import Attachment
from .errors import CloudError
from .grants import Grant
from .instances.tables import DBInstance
from .vpcs import Vpc

#: Seconds that a probe waits for an answer.
_PATIENCE = 2.0


@dataclass(frozen=True)
class End:
    """An instance, or a VPC as a whole."""

    id: str
    """As it was asked for: of an instance also its address."""
    vpc: Vpc
    instance: DBInstance | None = None

    def is_of(self, account: Account) -> bool:
        return self.vpc.owner_uid == account.uid


@dataclass(frozen=True)
class Answer:
    """What the model says of a way, and what a packet found."""

    source: End
    destination: End
    port: int | None
    """None for a VPC as a whole."""
    verdict: Verdict
    probe: ProbeAnswer | None
    """None where there is no place of one's own to try it from, or no server to speak to."""


def ask(
    session: Session,
    net: Fabric,
    account: Account,
    source_id: str,
    destination_id: str,
    port: int | None,
) -> Answer:
    """Whether clients at `source_id` can work with `destination_id`; one end is the account's.

    Of another account's ends only those are found that share a CEN with the account, or were
    granted to one of its CENs. The destination may be the address of an instance in the source's
    VPC or in one joined to it; then its id is not told. CloudError:
    InvalidDBInstanceId.NotFound, InvalidVpcId.NotFound.
    """
    source = _end(session, source_id)
    destination = _at(session, source, destination_id) or _end(session, destination_id)
    for end, other in ((source, destination), (destination, source)):
        if not end.is_of(account) and not _may_know(session, account, end, other):
            raise _absent(end.id)
    server = destination.instance
    if server is not None and port is None:
        port = server.port
    topology = fabric.wanted(session).topology
    verdict = _decide(topology, source, destination, port)
    if server is not None:
        verdict = replace(verdict, reason=verdict.reason.replace(server.id, destination.id))
    return Answer(
        source, destination, port, _discreet(session, account, verdict, source, destination),
        _probe(net, account, source, server, port),
    )  # fmt: skip


def _end(session: Session, id: str) -> End:
    if (vpc := session.get(Vpc, id)) is not None:
        return End(id, vpc)
    if (instance := session.get(DBInstance, id)) is not None:
        return End(id, instance.vpc, instance)
    raise _absent(id)


def _at(session: Session, source: End, address: str) -> End | None:
    """The instance at an address as `source` sees it; None where that is none, or no address."""
    here = _attachment(session, source.vpc)
    for instance in session.scalars(select(DBInstance).where(DBInstance.address == address)):
        there = _attachment(session, instance.vpc)
        is_joined = here is not None and there is not None and here.cen_id == there.cen_id
        if instance.vpc_id == source.vpc.id or is_joined:
            return End(address, instance.vpc, instance)
    return None


def _absent(id: str) -> CloudError:
    kind = Vpc if id.startswith("vpc-") else DBInstance
    return CloudError(kind.not_found, f"there is no {id}")


def _may_know(session: Session, account: Account, end: End, other: End) -> bool:
    """Whether the account, whose `other` is, shares a CEN with a foreign `end`."""
    if not other.is_of(account):
        return False
    there = _attachment(session, end.vpc)
    if there is not None:
        here = _attachment(session, other.vpc)
        if there.owner_uid == account.uid or (here is not None and here.cen_id == there.cen_id):
            return True
    granted = select(Grant).where(Grant.vpc_id == end.vpc.id, Grant.cen_owner_uid == account.uid)
    return session.scalars(granted).first() is not None


def _attachment(session: Session, vpc: Vpc) -> Attachment | None:
    return session.scalar(select(Attachment).where(Attachment.vpc_id == vpc.id))


def _decide(topology: Topology, source: End, destination: End, port: int | None) -> Verdict:
    for end in (source, destination):
        known = topology.vpcs if end.instance is None else topology.instances
        if (end.instance or end.vpc).id not in known:
            return Verdict(Hop.INSTANCE, f"{end.id} is not in the network yet")
    verdict = decide_vpcs(topology, source.vpc.id, destination.vpc.id)
    server = destination.instance
    if not verdict.passes or server is None:
        return verdict
    if port != server.port:
        return Verdict(Hop.PORT, f"{server.id} listens on port {server.port}, not {port}")
    if source.instance is not None:
        return topology.verdict(source.id, server.id)
    block = topology.vpcs[source.vpc.id].cidr
    if not any(entry.overlaps(block) for entry in topology.instances[server.id].whitelist):
        return Verdict(Hop.WHITELIST, f"whitelist of {server.id} lacks {block}")
    return PASSES


def _discreet(
    session: Session, account: Account, verdict: Verdict, source: End, destination: End
) -> Verdict:
    """The verdict without the ids of CENs that the account does not know."""
    if verdict.hop is not Hop.CEN:
        return verdict
    foreign = next((e for e in (source, destination) if not e.is_of(account)), None)
    there = _attachment(session, foreign.vpc) if foreign else None
    if foreign is None or there is None or there.owner_uid == account.uid:
        return verdict
    return Verdict(Hop.CEN, f"{foreign.vpc.id} is in another CEN")


def _probe(
    net: Fabric, account: Account, source: End, server: DBInstance | None, port: int | None
) -> ProbeAnswer | None:
    if source.instance is None or server is None or port is None or not source.is_of(account):
        return None
    with suppress(NetworkFailed):  # it has no place yet
        return net.probe(source.id, IPv4Address(server.address), port, _PATIENCE)
    return None
