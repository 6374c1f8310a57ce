"""The RDS of the vendor's SDK in its generations: arguments and bodies are the current one's."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from fix_api import Tenant

#: Makes one call of RDS: as whom, which action, with what; the answer's typed body.
Generation = Callable[[Tenant, str, Mapping[str, Any]], Any]
#: The first major version with the actions as they are, and what it was released with.
OLDER = ("alibabacloud_rds20140815==7.0.0", "alibabacloud_tea_openapi==0.3.16")


class Refused(Exception):
    """What a generation other than the current one makes of a refusal."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def current(tenant: Tenant, name: str, arguments: Mapping[str, Any], **config: str) -> Any:
    from alibabacloud_rds20140815 import models

    request = getattr(models, f"{name}Request")(**arguments)
    return getattr(tenant.rds(**config), snake(name))(request).body


def hmac_sha1(tenant: Tenant, name: str, arguments: Mapping[str, Any]) -> Any:
    """The current models over the older signature."""
    return current(tenant, name, arguments, signature_algorithm="v2")


def legacy(tenant: Tenant, name: str, arguments: Mapping[str, Any]) -> Any:
    """aliyun-python-sdk-rds, which gives back JSON."""
    from aliyunsdkcore.acs_exception.exceptions import ServerException

    module = import_module(f"aliyunsdkrds.request.v20140815.{name}Request")
    request = getattr(module, f"{name}Request")()
    for key, value in wire(name, arguments).items():
        getattr(request, f"set_{key}")(value)
    request.set_protocol_type("http")
    request.set_endpoint(tenant.endpoint)
    try:
        answer = json.loads(tenant.legacy().do_action_with_exception(request))
    except ServerException as refusal:
        raise Refused(refusal.get_error_code(), refusal.get_error_msg()) from None
    return body(name, answer)


@contextmanager
def older(folder: Path) -> Iterator[Generation]:
    """The pinned versions of `OLDER`, in an environment of their own under `folder`."""
    python = folder / "bin/python"
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", *OLDER]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"the older SDK cannot be fetched: {done.stderr[-300:]}")
        (folder / "complete").touch()
    with subprocess.Popen(
        [python, "-W", "ignore", Path(__file__).with_name("older_sdk.py")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        assert child.stdin is not None and child.stdout is not None
        ask, told = child.stdin, child.stdout

        def call(tenant: Tenant, name: str, arguments: Mapping[str, Any]) -> Any:
            said = [tenant.endpoint, tenant.key_id, tenant.secret, name, wire(name, arguments)]
            print(json.dumps(said), file=ask, flush=True)
            answer = json.loads(told.readline())
            if "refused" in answer:
                raise Refused(*answer["refused"])
            return body(name, answer["body"])

        yield call


def wire(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by the names that travel."""
    from alibabacloud_rds20140815 import models

    return dict(getattr(models, f"{name}Request")(**arguments).to_map())


def body(name: str, answer: Mapping[str, Any]) -> Any:
    """An answer in the current SDK's models."""
    from alibabacloud_rds20140815 import models

    return getattr(models, f"{name}ResponseBody")().from_map(answer)


def snake(name: str) -> str:
    """An action as the current SDK names its method."""
    text = name.replace("DBInstance", "Dbinstance").replace("IPArray", "Iparray")
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in text).lstrip("_")
