"""Compares the declared tables with the versions in store/migrations.

Usage: python tools/schema.py [NAME]

Prints what the newest version lacks, exit code 1 if anything. With NAME, like
`transit_routers`, it is written as the next version, to be read before it is committed.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from alembic.operations.ops import UpgradeOps

import landbridge.cloud
from landbridge.store import Base, Database, schema
from landbridge.store.base import UtcDateTime

VERSIONS = Path(schema.__file__).parent / "migrations/versions"
_PAGE = '''\
"""{title}."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"


def upgrade() -> None:
    {body}
'''


def differences(database: Database) -> tuple[UpgradeOps, str]:
    """What `database`, at the newest version, lacks of the declared tables; also as code."""
    for module in pkgutil.walk_packages(landbridge.cloud.__path__, "landbridge.cloud."):
        importlib.import_module(module.name)
    options = {"target_metadata": Base.metadata, "compare_type": True}
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        found = produce_migrations(context, Base.metadata).upgrade_ops
        assert found is not None
        code = render_python_code(
            found, render_as_batch=True, render_item=_render, migration_context=context
        )
    return found, code


def _render(kind: str, item: Any, _: Any) -> str | bool:
    """A version says types in SQLAlchemy's words alone: it must not change with our code."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, sa.Enum):
        return f"sa.String({item.length})"
    return False


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{folder}/empty.sqlite")
        found, code = differences(database)
        database.close()
    if found.is_empty():
        return 0
    if not sys.argv[1:]:
        print(code)
        return 1
    before = schema.scripts().get_current_head() or ""
    name, revision = sys.argv[1], f"{int(before) + 1:04d}"
    title = name.replace("_", " ").capitalize()
    lines = [line for line in code.splitlines() if "# ### " not in line]
    body = "\n".join(lines).strip()
    target = VERSIONS / f"{revision}_{name}.py"
    target.write_text(_PAGE.format(title=title, revision=revision, before=before, body=body))
    print(f"wrote {target}; read it, then: ruff format {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
