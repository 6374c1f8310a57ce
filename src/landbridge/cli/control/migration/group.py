"""The group, its lists and arguments."""

from __future__ import annotations

from typing import Annotated

from ..tables import Column, Listing
from ..verbs import argument, group

migration = group(
    "migration",
    "Migrate into an instance: assess, migrate, switch over.",
    "Begin with: landbridge migration assess INSTANCE SOURCE --user USER --wait",
)

TaskArgument = Annotated[str, argument("TASK", "Id of a migration.")]
AssessmentArgument = Annotated[str, argument("ASSESSMENT", "Id of an assessment.")]

_SOURCE = (
    Column("Source", lambda row: f"{row['SourceIpAddress']}:{row['SourcePort']}"),
    Column("As", "SourceAccount"),
    Column("Created", "GmtCreated"),
)
ASSESSMENTS = Listing(
    "assessments", "rds", "DescribeCloudMigrationPrecheckResult", "Items",
    (Column("Assessment", "TaskId"), Column("Name", "TaskName"), *_SOURCE),
)  # fmt: skip
MIGRATIONS = Listing(
    "migrations", "rds", "DescribeCloudMigrationResult", "Items",
    (
        Column("Migration", "TaskId"),
        Column("Stage", "MigrateStage"),
        Column("Replication", "ReplicationState"),
        Column("Switched over", "SwitchTime"),
        *_SOURCE,
    ),
)  # fmt: skip
