"""CENs, transit routers, grants, attachments, bandwidth, connections, and what was used."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    _cen()
    _usage_hour()
    _bandwidth_plan()
    _transit_router()
    _vpc_grant()
    _inter_region_connection()
    _vpc_attachment()
    _vpc_attachment_zone()


def _cen() -> None:
    op.create_table(
        "cen",
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("description", sa.String(256), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("owner_uid", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("standing", sa.BigInteger(), nullable=False),
        sa.Column("is_wanted", sa.Boolean(), nullable=False),
        sa.Column("trouble", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["owner_uid"], ["account.uid"], name="fk_cen_owner_uid"),
        sa.PrimaryKeyConstraint("id", name="pk_cen"),
    )
    op.create_index("ix_cen_owner_uid", "cen", ["owner_uid"])


def _usage_hour() -> None:
    op.create_table(
        "usage_hour",
        sa.Column("payer_uid", sa.BigInteger(), nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("item", sa.String(40), nullable=False),
        sa.Column("resource_id", sa.String(64), nullable=False),
        sa.Column("tariff", sa.String(80), nullable=False),
        sa.Column("quantity", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["payer_uid"], ["account.uid"], name="fk_usage_hour_payer_uid"),
        sa.PrimaryKeyConstraint(
            "payer_uid", "hour", "item", "resource_id", "tariff", name="pk_usage_hour"
        ),
    )


def _bandwidth_plan() -> None:
    op.create_table(
        "bandwidth_plan",
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("description", sa.String(256), nullable=False),
        sa.Column("area_a", sa.String(40), nullable=False),
        sa.Column("area_b", sa.String(40), nullable=False),
        sa.Column("bandwidth", sa.BigInteger(), nullable=False),
        sa.Column("charge_type", sa.String(40), nullable=False),
        sa.Column("auto_renew_months", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.String(40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cen_id", sa.String(64), nullable=True),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("owner_uid", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["cen_id"], ["cen.id"], name="fk_bandwidth_plan_cen_id"),
        sa.ForeignKeyConstraint(["owner_uid"], ["account.uid"], name="fk_bandwidth_plan_owner_uid"),
        sa.PrimaryKeyConstraint("id", name="pk_bandwidth_plan"),
    )
    op.create_index("ix_bandwidth_plan_cen_id", "bandwidth_plan", ["cen_id"])
    op.create_index("ix_bandwidth_plan_expires_at", "bandwidth_plan", ["expires_at"])
    op.create_index("ix_bandwidth_plan_owner_uid", "bandwidth_plan", ["owner_uid"])


def _transit_router() -> None:
    op.create_table(
        "transit_router",
        sa.Column("cen_id", sa.String(64), nullable=False),
        sa.Column("region_id", sa.String(40), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("description", sa.String(256), nullable=False),
        sa.Column("primary_zone", sa.String(40), nullable=False),
        sa.Column("secondary_zone", sa.String(40), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("owner_uid", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("standing", sa.BigInteger(), nullable=False),
        sa.Column("is_wanted", sa.Boolean(), nullable=False),
        sa.Column("trouble", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["cen_id"], ["cen.id"], name="fk_transit_router_cen_id"),
        sa.ForeignKeyConstraint(["owner_uid"], ["account.uid"], name="fk_transit_router_owner_uid"),
        sa.PrimaryKeyConstraint("id", name="pk_transit_router"),
        sa.UniqueConstraint("cen_id", "region_id", name="uq_transit_router_cen_id_region_id"),
    )
    op.create_index("ix_transit_router_owner_uid", "transit_router", ["owner_uid"])


def _vpc_grant() -> None:
    op.create_table(
        "vpc_grant",
        sa.Column("vpc_id", sa.String(64), nullable=False),
        sa.Column("cen_id", sa.String(64), nullable=False),
        sa.Column("owner_uid", sa.BigInteger(), nullable=False),
        sa.Column("cen_owner_uid", sa.BigInteger(), nullable=False),
        sa.Column("payer", sa.String(40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["cen_id"], ["cen.id"], name="fk_vpc_grant_cen_id"),
        sa.ForeignKeyConstraint(
            ["cen_owner_uid"], ["account.uid"], name="fk_vpc_grant_cen_owner_uid"
        ),
        sa.ForeignKeyConstraint(["owner_uid"], ["account.uid"], name="fk_vpc_grant_owner_uid"),
        sa.ForeignKeyConstraint(["vpc_id"], ["vpc.id"], name="fk_vpc_grant_vpc_id"),
        sa.PrimaryKeyConstraint("vpc_id", "cen_id", name="pk_vpc_grant"),
    )
    op.create_index("ix_vpc_grant_owner_uid", "vpc_grant", ["owner_uid"])


def _inter_region_connection() -> None:
    op.create_table(
        "inter_region_connection",
        sa.Column("cen_id", sa.String(64), nullable=False),
        sa.Column("router_id", sa.String(64), nullable=False),
        sa.Column("peer_router_id", sa.String(64), nullable=False),
        sa.Column("plan_id", sa.String(64), nullable=True),
        sa.Column("bandwidth", sa.BigInteger(), nullable=False),
        sa.Column("line_type", sa.String(40), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("description", sa.String(256), nullable=False),
        sa.Column("bytes_out", sa.BigInteger(), nullable=False),
        sa.Column("bytes_back", sa.BigInteger(), nullable=False),
        sa.Column("last_out", sa.BigInteger(), nullable=False),
        sa.Column("last_back", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("owner_uid", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("standing", sa.BigInteger(), nullable=False),
        sa.Column("is_wanted", sa.Boolean(), nullable=False),
        sa.Column("trouble", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["cen_id"], ["cen.id"], name="fk_inter_region_connection_cen_id"),
        sa.ForeignKeyConstraint(
            ["owner_uid"], ["account.uid"], name="fk_inter_region_connection_owner_uid"
        ),
        sa.ForeignKeyConstraint(
            ["peer_router_id"],
            ["transit_router.id"],
            name="fk_inter_region_connection_peer_router_id",
        ),
        sa.ForeignKeyConstraint(
            ["plan_id"], ["bandwidth_plan.id"], name="fk_inter_region_connection_plan_id"
        ),
        sa.ForeignKeyConstraint(
            ["router_id"], ["transit_router.id"], name="fk_inter_region_connection_router_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_inter_region_connection"),
    )
    op.create_index("ix_inter_region_connection_cen_id", "inter_region_connection", ["cen_id"])
    op.create_index(
        "ix_inter_region_connection_owner_uid", "inter_region_connection", ["owner_uid"]
    )
    op.create_index("ix_inter_region_connection_plan_id", "inter_region_connection", ["plan_id"])


def _vpc_attachment() -> None:
    op.create_table(
        "vpc_attachment",
        sa.Column("cen_id", sa.String(64), nullable=False),
        sa.Column("router_id", sa.String(64), nullable=False),
        sa.Column("vpc_id", sa.String(64), nullable=False),
        sa.Column("vpc_owner_uid", sa.BigInteger(), nullable=False),
        sa.Column("region_id", sa.String(40), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("description", sa.String(256), nullable=False),
        sa.Column("payer", sa.String(40), nullable=False),
        sa.Column("counted_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("owner_uid", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("standing", sa.BigInteger(), nullable=False),
        sa.Column("is_wanted", sa.Boolean(), nullable=False),
        sa.Column("trouble", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["cen_id"], ["cen.id"], name="fk_vpc_attachment_cen_id"),
        sa.ForeignKeyConstraint(["owner_uid"], ["account.uid"], name="fk_vpc_attachment_owner_uid"),
        sa.ForeignKeyConstraint(
            ["router_id"], ["transit_router.id"], name="fk_vpc_attachment_router_id"
        ),
        sa.ForeignKeyConstraint(["vpc_id"], ["vpc.id"], name="fk_vpc_attachment_vpc_id"),
        sa.ForeignKeyConstraint(
            ["vpc_owner_uid"], ["account.uid"], name="fk_vpc_attachment_vpc_owner_uid"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_vpc_attachment"),
        sa.UniqueConstraint("vpc_id", name="uq_vpc_attachment_vpc_id"),
    )
    op.create_index("ix_vpc_attachment_cen_id", "vpc_attachment", ["cen_id"])
    op.create_index("ix_vpc_attachment_owner_uid", "vpc_attachment", ["owner_uid"])
    op.create_index("ix_vpc_attachment_vpc_owner_uid", "vpc_attachment", ["vpc_owner_uid"])


def _vpc_attachment_zone() -> None:
    op.create_table(
        "vpc_attachment_zone",
        sa.Column("attachment_id", sa.String(64), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("zone_id", sa.String(40), nullable=False),
        sa.Column("vswitch_id", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(
            ["attachment_id"],
            ["vpc_attachment.id"],
            name="fk_vpc_attachment_zone_attachment_id",
        ),
        sa.ForeignKeyConstraint(
            ["vswitch_id"], ["vswitch.id"], name="fk_vpc_attachment_zone_vswitch_id"
        ),
        sa.PrimaryKeyConstraint("attachment_id", "position", name="pk_vpc_attachment_zone"),
    )
