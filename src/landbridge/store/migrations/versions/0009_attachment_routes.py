"""Attachments that are associated, propagating and published, or not."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    with op.batch_alter_table("vpc_attachment", schema=None) as batch_op:
        for name in ("is_associated", "is_propagating", "is_published"):
            batch_op.add_column(
                sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.true())
            )
