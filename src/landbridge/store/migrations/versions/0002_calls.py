"""What is kept about calls: used nonces, client tokens, the audit trail."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "used_nonce",
        sa.Column("access_key_id", sa.String(64), nullable=False),
        sa.Column("nonce", sa.String(128), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("access_key_id", "nonce", name="pk_used_nonce"),
    )
    op.create_index("ix_used_nonce_used_at", "used_nonce", ["used_at"])
    op.create_table(
        "client_token",
        sa.Column("account_uid", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.String(80), nullable=False),
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("answer", sa.JSON(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_uid"], ["account.uid"], name="fk_client_token_account_uid"
        ),
        sa.PrimaryKeyConstraint("account_uid", "action", "token", name="pk_client_token"),
    )
    op.create_index("ix_client_token_answered_at", "client_token", ["answered_at"])
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("account_uid", sa.BigInteger(), nullable=True),
        sa.Column("access_key_id", sa.String(64), nullable=True),
        sa.Column("source", sa.String(128), nullable=False),
        sa.Column("action", sa.String(80), nullable=False),
        sa.Column("resource", sa.String(128), nullable=True),
        sa.Column("request_id", sa.String(40), nullable=True),
        sa.Column("outcome", sa.String(80), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_uid"], ["account.uid"], name="fk_audit_entry_account_uid"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_audit_entry"),
    )
    op.create_index("ix_audit_entry_account_uid", "audit_entry", ["account_uid"])
