"""Packets on a network that rows ordered: granted, attached, joined, and a plan that ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy.orm import Session

from fix_network import Mode, Net, a_network, plain_python
from landbridge.cloud import (
    Cloud,
    accounts,
    attachments,
    bandwidth,
    cens,
    fabric,
    grants,
    routes,
    vpcs,
)
from landbridge.cloud.accounts import Account
from landbridge.cloud.allocation import Order
from landbridge.cloud.attachments import Attachment, ZoneMapping
from landbridge.cloud.bandwidth import BandwidthPlan
from landbridge.cloud.fabric import Reconciler
from landbridge.cloud.instances.states import Role
from landbridge.cloud.instances.tables import DBInstance, WhitelistGroup
from landbridge.cloud.lines import Connection, create
from landbridge.cloud.routers import find
from landbridge.cloud.routes import Tie
from landbridge.network.fabric import Outcome
from landbridge.network.verdict import Hop
from landbridge.postgres.process import wait_until
from landbridge.store import utcnow

HZ, BJ = "cn-hangzhou", "cn-beijing"

#: A client: asks for TLS a thousand times on one connection, prints how often it got an answer.
ASK = """
import socket, struct, sys, time
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as server:
    server.sendall(struct.pack("!II", 8, 80877103) * 1000)
    got, end = 0, time.monotonic() + 3
    while got < 1000 and (left := end - time.monotonic()) > 0:
        server.settimeout(left)
        try:
            got += len(server.recv(1000))
        except TimeoutError:
            break
    print(got)
"""


@pytest.fixture(params=[Mode.ROOT, Mode.RELAY], ids=lambda mode: mode.value)
def net(request: pytest.FixtureRequest) -> Iterator[Net]:
    with a_network(request.param) as made:
        yield made


def place(session: Session, owner: Account, region: str, block: str, number: int) -> str:
    """A VPC with an instance that lets everybody in; the id of the VPC."""
    zone = f"{region}-h"
    vpc = vpcs.create_vpc(session, owner, region, cidr=f"{block}.0.0/16")
    vswitch = vpcs.create_vswitch(session, vpc, zone, f"{block}.1.0/24")
    session.add(
        DBInstance(
            id=f"pgm-{number}", owner_uid=owner.uid, number=number, region_id=region,
            zone_id=zone, vpc_id=vpc.id, vswitch_id=vswitch.id, address=f"{block}.1.5", port=5432,
            major=15, class_name="c", storage_gb=20, storage_type="cloud_essd", category="Basic",
            pay_type="Postpaid", role=Role.PRIMARY, description="",
            groups=[WhitelistGroup(name="default", entries=["10.0.0.0/8"])],
        )
    )  # fmt: skip
    session.flush()
    return vpc.id


def zones(session: Session, vpc_id: str) -> list[ZoneMapping]:
    (vswitch,) = session.get_one(vpcs.Vpc, vpc_id).vswitches
    return [ZoneMapping(vswitch.zone_id, vswitch.id)]


def test_a_granted_and_joined_pair_is_reached_and_an_ended_plan_takes_the_bandwidth(
    cloud: Cloud, net: Net
) -> None:
    reconciler = Reconciler(cloud, lambda: net.fabric)

    def seen(seconds: float = 10.0) -> Outcome:
        """What pgm-1 sees of the server of pgm-2."""
        with cloud.database.read() as session:
            topology = fabric.wanted(session).topology
        return net.probe(topology, "pgm-1", "pgm-2", seconds).outcome

    def carried() -> int:
        """Of a thousand questions of 8 bytes, how many are answered within three seconds."""
        path = net.fabric.path("pgm-1", "pgm-2")
        command = (plain_python(), "-I", "-S", "-c", ASK, path.hostaddr, path.port)
        return int(net.run("pgm-1", *command))

    def hop() -> Hop:
        with cloud.database.read() as session:
            return fabric.wanted(session).topology.verdict("pgm-1", "pgm-2").hop

    with cloud.database.write() as session:
        ann, bob = accounts.create(session, "ann"), accounts.create(session, "bob")
        near = place(session, bob, HZ, "10.1", 1)
        far = place(session, ann, BJ, "10.2", 2)
        cen = cens.create(session, bob, "cen").id
    assert reconciler.once() == {}
    with cloud.database.read() as session:
        net.identify(fabric.wanted(session).topology, "pgm-1", "pgm-2")
    assert seen(0.5) is not Outcome.OK

    with cloud.database.write() as session:
        grants.give(session, ann, far, cen, bob.uid)
        for vpc, region, owner in ((near, HZ, None), (far, BJ, ann.uid)):
            attachments.create(
                session, bob, vpc_id=vpc, zones=zones(session, vpc), cen_id=cen, region=region,
                vpc_owner_uid=owner,
            )  # fmt: skip
    assert reconciler.once() == {}
    assert (seen(0.5), hop()) != (Outcome.OK, Hop.NONE)

    with cloud.database.write() as session:
        plan = bandwidth.buy(session, bob, area_a="China", area_b="China", bandwidth=50)
        bandwidth.associate(session, bob, plan.id, cen)
        a, b = (find(session, cen, region) for region in (HZ, BJ))
        assert a is not None and b is not None
        order = Order(50, plan_id=plan.id)
        line = create(session, bob, order, router_id=a.id, peer_router_id=b.id).id
    assert reconciler.once() == {}
    assert seen() is Outcome.OK and wait_until(lambda: carried() == 1000, 60)

    for on in (False, True):
        with cloud.database.write() as session:
            (theirs,) = attachments.visible(session, ann)
            routes.tie(session, bob, theirs.id, b.route_table_id, Tie.ASSOCIATION, on)
        assert reconciler.once() == {}
        assert (seen(0.5) is Outcome.OK) == on

    with cloud.database.write() as session:
        session.get_one(BandwidthPlan, plan.id).expires_at = utcnow() - timedelta(seconds=1)
    reconciler.turn()
    assert hop() is Hop.BANDWIDTH
    # 1 kbit/s, and one packet after a pause: enough to connect, not to work.
    assert carried() < 500

    with cloud.database.write() as session:
        bandwidth.renew(session, bob, plan.id, 1)
    reconciler.turn()
    assert wait_until(lambda: carried() == 1000, 60)
    reconciler.count()
    with cloud.database.write() as session:
        assert session.get_one(Connection, line).bytes_out > 0
        for attachment in attachments.visible(session, ann):
            attachments.delete(session, ann, attachment.id)  # the VPC's owner goes
    assert reconciler.once() == {}
    assert seen(0.5) is not Outcome.OK
    with cloud.database.read() as session:
        assert [a.vpc_id for a in session.query(Attachment)] == [near]
