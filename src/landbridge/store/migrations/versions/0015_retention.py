"""Retention."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "removed_rows",
        sa.Column("account_uid", sa.BigInteger(), nullable=False),
        sa.Column("ledger", sa.String(length=40), nullable=False),
        sa.Column("part", sa.String(length=80), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_uid", "ledger", "part", name=op.f("pk_removed_rows")),
    )
    with op.batch_alter_table("audit_entry", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_audit_entry_account_uid_outcome"),
            ["account_uid", "outcome"],
            unique=False,
        )

    with op.batch_alter_table("console_login", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_console_login_account_uid"), ["account_uid"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_console_login_opened_at"), ["opened_at"], unique=False)

    with op.batch_alter_table("usage_hour", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_usage_hour_hour"), ["hour"], unique=False)
