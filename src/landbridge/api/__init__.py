"""The RPC interface that the vendor's SDKs speak, on one port. Thin: parse, call, render.

::

    app          HTTP: one path for the calls, /healthz, /metrics, /openapi.json
    dispatch     one call: find the action, authenticate, parse, one transaction, answer
    ├── signature    who signed it: ACS3-HMAC-SHA256, HMAC-SHA1
    ├── gate         may it pass: clock, key, signature, nonce
    ├── parameters   text -> typed arguments
    └── table        (version, action) -> Action, from sts/, vpc/, rds/, cbn/, landbridge/
    openapi      the document of our own version, from the table
    serving      the process: socket, lock, signals
    client       the other side: signs and sends a call

To add an action: a handler `(Call) -> dict` and its `Action` in the product's folder. What
the table says of it is all there is: validation, OpenAPI and docs/coverage.md derive from it.
"""
