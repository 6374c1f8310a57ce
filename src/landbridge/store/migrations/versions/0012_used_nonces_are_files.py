"""Used nonces are files of the state folder."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.drop_table("used_nonce")
