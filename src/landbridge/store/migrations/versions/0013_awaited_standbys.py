"""Awaited standbys."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    with op.batch_alter_table("db_instance", schema=None) as batch_op:
        batch_op.add_column(sa.Column("awaited", sa.String(length=63), nullable=True))
