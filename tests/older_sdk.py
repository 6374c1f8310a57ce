"""Makes calls with whatever version of the vendor's SDK this Python has.

Reads a line of JSON per call: endpoint, key id, secret, action, parameters by the names that
travel; answers with a line: `body`, as this version's models read it, or `refused`.
"""

import json
import sys

from alibabacloud_rds20140815 import models
from alibabacloud_rds20140815.client import Client
from alibabacloud_tea_openapi.models import Config
from Tea.exceptions import TeaException


def main() -> None:
    for line in sys.stdin:
        endpoint, key, secret, name, given = json.loads(line)
        client = Client(
            Config(
                access_key_id=key, access_key_secret=secret, endpoint=endpoint, protocol="http",
                region_id="cn-hangzhou",
            )
        )  # fmt: skip
        text = name.replace("DBInstance", "Dbinstance").replace("IPArray", "Iparray")
        method = "".join(f"_{c.lower()}" if c.isupper() else c for c in text).lstrip("_")
        request = getattr(models, f"{name}Request")().from_map(given)
        try:
            answer = {"body": getattr(client, method)(request).body.to_map()}
        except TeaException as refusal:
            answer = {"refused": [refusal.code, refusal.message]}
        print(json.dumps(answer), flush=True)


main()
