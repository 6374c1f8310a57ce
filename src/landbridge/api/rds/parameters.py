"""The parameters of a server."""

from __future__ import annotations

from typing import Any

from ...cloud import CloudError
from ...cloud.instances import engines, lifecycle, look, parameters
from ...cloud.instances.tables import DBInstance
from ..action import Action, Call, Kind, Param, Product
from .common import BAD_STATE, ID, NOT_FOUND, engine_version, find, major


def _modify(call: Call) -> dict[str, Any]:
    instance = find(call)
    lifecycle.require_kept(instance)
    wanted = call["Parameters"]
    if not isinstance(wanted, dict) or not wanted:
        raise CloudError("InvalidParameter", "Parameters is a JSON object of names and values")
    if not all(isinstance(value, str) for value in wanted.values()):
        raise CloudError("InvalidParameter", "the values in Parameters are texts")
    needs_restart = parameters.modify(call.session, instance, wanted)
    if needs_restart and call["Forcerestart"]:
        lifecycle.restart(instance)
    return {}


def _describe(call: Call) -> dict[str, Any]:
    instance = find(call)
    running = _running(call, instance)
    chosen = {row.name: row.value for row in instance.parameters}
    waiting = {name: value for name, value in chosen.items() if running.get(name) != value}
    return {
        "Engine": "PostgreSQL",
        "EngineVersion": engine_version(instance),
        "RunningParameters": {"DBInstanceParameter": _rows(instance, running)},
        "ConfigParameters": {"DBInstanceParameter": _rows(instance, waiting)},
        "ParamGroupInfo": {},
    }


def _running(call: Call, instance: DBInstance) -> dict[str, str]:
    """What the server works with; of one that cannot be asked, what it shall work with."""
    running = {spec.name: spec.default for spec in parameters.specs(instance.major).values()}
    settings = look.settings(call.cloud, instance)
    if settings is None:
        return running | {row.name: row.value for row in instance.parameters}
    forced = instance.parameter(parameters.FORCE_READ_ONLY) or "off"
    return running | settings | {parameters.FORCE_READ_ONLY: forced}


def _rows(instance: DBInstance, values: dict[str, str]) -> list[dict[str, str]]:
    known = parameters.specs(instance.major)
    return [
        {
            "ParameterName": name,
            "ParameterValue": value,
            "ParameterDescription": known[name].description,
            "ParameterDefaultValue": known[name].default,
            "ParameterValueRange": known[name].range,
        }
        for name, value in sorted(values.items())
        if name in known
    ]


def _describe_templates(call: Call) -> dict[str, Any]:
    number = major(call["EngineVersion"])
    if number not in engines.MAJORS:
        raise engines.not_offered(call["EngineVersion"])
    rows = [
        {
            "ParameterName": spec.name,
            "ParameterValue": spec.default,
            "ForceModify": "true",
            "ForceRestart": "true" if spec.restart else "false",
            "CheckingCode": spec.range,
            "ParameterDescription": spec.description,
        }
        for spec in parameters.specs(number).values()
    ]
    return {
        "Engine": "PostgreSQL",
        "EngineVersion": f"{number}.0",
        "ParameterCount": str(len(rows)),
        "Parameters": {"TemplateRecord": rows},
    }


ACTIONS = (
    Action(
        Product.RDS,
        "ModifyParameter",
        "Set parameters of a server.",
        _modify,
        (
            ID,
            Param("Parameters", Kind.STRUCTURE, required=True),
            Param("Forcerestart", Kind.BOOLEAN, default=False),
            Param("SwitchTimeMode", default="Immediate", choices=("Immediate",)),
        ),
        writes=True,
        resource="DBInstanceId",
        errors=(NOT_FOUND, BAD_STATE),
        differences="At once, always. rds_force_trans_ro_non_sup is no parameter of PostgreSQL:"
        " the read-only default, and whoever overrides it is ended within a fraction of a second"
        " (docs/instances.md).",
    ),
    Action(
        Product.RDS,
        "DescribeParameters",
        "Show the parameters a server works with, and those that wait for a restart.",
        _describe,
        (ID,),
        asks=True,
        errors=(NOT_FOUND,),
    ),
    Action(
        Product.RDS,
        "DescribeParameterTemplates",
        "List the parameters that may be set.",
        _describe_templates,
        (
            Param("Engine", required=True, choices=("PostgreSQL",)),
            Param("EngineVersion", required=True),
        ),
        errors=("InvalidEngineVersion",),
    ),
)
