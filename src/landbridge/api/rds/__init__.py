"""ApsaraDB RDS."""

from . import (
    accounts,
    create,
    describe,
    lists,
    logs,
    manage,
    migration,
    parameters,
    places,
    public,
    whitelists,
)

ACTIONS = (
    *places.ACTIONS,
    *create.ACTIONS,
    *lists.ACTIONS,
    *describe.ACTIONS,
    *manage.ACTIONS,
    *whitelists.ACTIONS,
    *accounts.ACTIONS,
    *parameters.ACTIONS,
    *logs.ACTIONS,
    *migration.ACTIONS,
    *public.ACTIONS,
)
