"""Public endpoints."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "db_public_endpoint",
        sa.Column("instance_id", sa.String(length=64), nullable=False),
        sa.Column("port", sa.BigInteger(), nullable=False),
        sa.Column("is_wanted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("instance_id", name=op.f("pk_db_public_endpoint")),
    )
