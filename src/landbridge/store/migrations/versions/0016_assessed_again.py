"""Assessed again."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    with op.batch_alter_table("assessment", schema=None) as batch_op:
        batch_op.add_column(sa.Column("fix_ids", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("recheck", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("rechecked", sa.JSON(), nullable=True))
