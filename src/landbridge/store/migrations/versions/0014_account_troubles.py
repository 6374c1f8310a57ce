"""Account troubles."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    with op.batch_alter_table("db_account", schema=None) as batch_op:
        batch_op.add_column(sa.Column("trouble", sa.String(), server_default="", nullable=False))
