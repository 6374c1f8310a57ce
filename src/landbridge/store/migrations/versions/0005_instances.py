"""Instances."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    _instances()
    _what_they_have()


def _instances() -> None:
    op.create_table(
        "db_instance",
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("region_id", sa.String(length=40), nullable=False),
        sa.Column("zone_id", sa.String(length=40), nullable=False),
        sa.Column("vpc_id", sa.String(length=64), nullable=False),
        sa.Column("vswitch_id", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=15), nullable=False),
        sa.Column("port", sa.BigInteger(), nullable=False),
        sa.Column("major", sa.BigInteger(), nullable=False),
        sa.Column("class_name", sa.String(length=64), nullable=False),
        sa.Column("storage_gb", sa.BigInteger(), nullable=False),
        sa.Column("storage_type", sa.String(length=40), nullable=False),
        sa.Column("category", sa.String(length=40), nullable=False),
        sa.Column("pay_type", sa.String(length=40), nullable=False),
        sa.Column("role", sa.String(40), nullable=False),
        sa.Column("primary_id", sa.String(length=64), nullable=True),
        sa.Column("description", sa.String(length=255), nullable=False),
        sa.Column("is_protected", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(40), nullable=False),
        sa.Column("lock_mode", sa.String(40), nullable=False),
        sa.Column("used_bytes", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("applied", sa.BigInteger(), nullable=False),
        sa.Column("closes_strangers", sa.Boolean(), nullable=False),
        sa.Column("trouble", sa.String(), nullable=False),
        sa.Column(
            "replicator_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("owner_uid", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_uid"], ["account.uid"], name=op.f("fk_db_instance_owner_uid")
        ),
        sa.ForeignKeyConstraint(
            ["primary_id"], ["db_instance.id"], name=op.f("fk_db_instance_primary_id")
        ),
        sa.ForeignKeyConstraint(
            ["replicator_id"], ["sealed_secret.id"], name=op.f("fk_db_instance_replicator_id")
        ),
        sa.ForeignKeyConstraint(["vpc_id"], ["vpc.id"], name=op.f("fk_db_instance_vpc_id")),
        sa.ForeignKeyConstraint(
            ["vswitch_id"], ["vswitch.id"], name=op.f("fk_db_instance_vswitch_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_db_instance")),
        sa.UniqueConstraint("number", name=op.f("uq_db_instance_number")),
    )
    with op.batch_alter_table("db_instance", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_db_instance_owner_uid"), ["owner_uid"], unique=False)
        batch_op.create_index(batch_op.f("ix_db_instance_primary_id"), ["primary_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_db_instance_vpc_id"), ["vpc_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_db_instance_vswitch_id"), ["vswitch_id"], unique=False)


def _what_they_have() -> None:
    op.create_table(
        "db_account",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("instance_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("type", sa.String(40), nullable=False),
        sa.Column("description", sa.String(length=256), nullable=False),
        sa.Column("state", sa.String(40), nullable=False),
        sa.Column("order", sa.BigInteger(), nullable=False),
        sa.Column(
            "verifier_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["db_instance.id"], name=op.f("fk_db_account_instance_id")
        ),
        sa.ForeignKeyConstraint(
            ["verifier_id"], ["sealed_secret.id"], name=op.f("fk_db_account_verifier_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_db_account")),
        sa.UniqueConstraint("instance_id", "name", name=op.f("uq_db_account_instance_id_name")),
    )
    op.create_table(
        "db_parameter",
        sa.Column("instance_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["db_instance.id"], name=op.f("fk_db_parameter_instance_id")
        ),
        sa.PrimaryKeyConstraint("instance_id", "name", name=op.f("pk_db_parameter")),
    )
    op.create_table(
        "db_whitelist_group",
        sa.Column("instance_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("attribute", sa.String(length=64), nullable=False),
        sa.Column("entries", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["instance_id"], ["db_instance.id"], name=op.f("fk_db_whitelist_group_instance_id")
        ),
        sa.PrimaryKeyConstraint("instance_id", "name", name=op.f("pk_db_whitelist_group")),
    )
