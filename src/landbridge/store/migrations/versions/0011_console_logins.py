"""Console logins."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.create_table(
        "console_login",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("account_uid", sa.BigInteger(), nullable=False),
        sa.Column("access_key_id", sa.String(length=64), nullable=True),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["access_key_id"], ["access_key.id"], name=op.f("fk_console_login_access_key_id")
        ),
        sa.ForeignKeyConstraint(
            ["account_uid"], ["account.uid"], name=op.f("fk_console_login_account_uid")
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["console_user.id"],
            name=op.f("fk_console_login_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_console_login")),
    )
