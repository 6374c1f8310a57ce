"""Feasibility assessments and migrations."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    _assessments()
    _migrations()


def _assessments() -> None:
    op.create_table(
        "assessment",
        sa.Column("verdict", sa.String(40), nullable=False),
        sa.Column("report", sa.JSON(), nullable=True),
        sa.Column("fix_account", sa.String(length=63), nullable=True),
        sa.Column("fixes", sa.JSON(), nullable=True),
        sa.Column("instance_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("category", sa.String(length=20), nullable=False),
        sa.Column("address", sa.String(length=255), nullable=False),
        sa.Column("port", sa.BigInteger(), nullable=False),
        sa.Column("account", sa.String(length=63), nullable=False),
        sa.Column("source_id", sa.String(length=64), nullable=True),
        sa.Column(
            "password_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("owner_uid", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_uid"], ["account.uid"], name=op.f("fk_assessment_owner_uid")
        ),
        sa.ForeignKeyConstraint(
            ["password_id"], ["sealed_secret.id"], name=op.f("fk_assessment_password_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assessment")),
    )
    with op.batch_alter_table("assessment", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_assessment_instance_id"), ["instance_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_assessment_owner_uid"), ["owner_uid"], unique=False)
        batch_op.create_index(batch_op.f("ix_assessment_source_id"), ["source_id"], unique=False)


def _migrations() -> None:
    op.create_table(
        "migration",
        sa.Column("assessment_id", sa.String(length=64), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("task", sa.String(length=20), nullable=True),
        sa.Column("order", sa.String(40), nullable=False),
        sa.Column("trouble", sa.String(), nullable=False),
        sa.Column("is_closed", sa.Boolean(), nullable=False),
        sa.Column("instance_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("category", sa.String(length=20), nullable=False),
        sa.Column("address", sa.String(length=255), nullable=False),
        sa.Column("port", sa.BigInteger(), nullable=False),
        sa.Column("account", sa.String(length=63), nullable=False),
        sa.Column("source_id", sa.String(length=64), nullable=True),
        sa.Column(
            "password_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("owner_uid", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["assessment_id"], ["assessment.id"], name=op.f("fk_migration_assessment_id")
        ),
        sa.ForeignKeyConstraint(
            ["owner_uid"], ["account.uid"], name=op.f("fk_migration_owner_uid")
        ),
        sa.ForeignKeyConstraint(
            ["password_id"], ["sealed_secret.id"], name=op.f("fk_migration_password_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_migration")),
    )
    with op.batch_alter_table("migration", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_migration_assessment_id"), ["assessment_id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_migration_instance_id"), ["instance_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_migration_is_active"), ["is_active"], unique=False)
        batch_op.create_index(batch_op.f("ix_migration_owner_uid"), ["owner_uid"], unique=False)
        batch_op.create_index(batch_op.f("ix_migration_source_id"), ["source_id"], unique=False)
