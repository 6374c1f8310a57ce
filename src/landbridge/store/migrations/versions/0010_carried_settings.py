"""Carried settings."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("db_instance", sa.Column("carried", sa.JSON(), nullable=True))
