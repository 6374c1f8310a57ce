"""VPCs and vSwitches."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "vpc",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("owner_uid", sa.BigInteger(), nullable=False),
        sa.Column("region_id", sa.String(40), nullable=False),
        sa.Column("cidr", sa.String(18), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("description", sa.String(256), nullable=False),
        sa.Column("router_id", sa.String(64), nullable=False),
        sa.Column("route_table_id", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["owner_uid"], ["account.uid"], name="fk_vpc_owner_uid"),
        sa.PrimaryKeyConstraint("id", name="pk_vpc"),
    )
    op.create_index("ix_vpc_owner_uid", "vpc", ["owner_uid"])
    op.create_table(
        "vswitch",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("owner_uid", sa.BigInteger(), nullable=False),
        sa.Column("vpc_id", sa.String(64), nullable=False),
        sa.Column("zone_id", sa.String(40), nullable=False),
        sa.Column("cidr", sa.String(18), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("description", sa.String(256), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["owner_uid"], ["account.uid"], name="fk_vswitch_owner_uid"),
        sa.ForeignKeyConstraint(["vpc_id"], ["vpc.id"], name="fk_vswitch_vpc_id"),
        sa.PrimaryKeyConstraint("id", name="pk_vswitch"),
    )
    op.create_index("ix_vswitch_owner_uid", "vswitch", ["owner_uid"])
    op.create_index("ix_vswitch_vpc_id", "vswitch", ["vpc_id"])
