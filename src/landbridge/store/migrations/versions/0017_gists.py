"""Gists of assessments' reports."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

_ROWS = sa.table(
    "assessment", sa.column("id", sa.String()), sa.column("report", sa.JSON()),
    sa.column("gist", sa.JSON()),
)  # fmt: skip


def upgrade() -> None:
    op.add_column("assessment", sa.Column("gist", sa.JSON(), nullable=True))
    database = op.get_bind()
    for id in database.scalars(sa.select(_ROWS.c.id)).all():
        this = _ROWS.c.id == id
        report = database.scalar(sa.select(_ROWS.c.report).where(this))
        if report is None:
            continue
        looked = {each.get("checked") or report["started"] for each in report["findings"]}
        oldest = min(looked or {report["started"]}, key=datetime.fromisoformat)
        gist = {"counts": report["counts"], "oldest": oldest}
        database.execute(sa.update(_ROWS).where(this).values(gist=gist))
