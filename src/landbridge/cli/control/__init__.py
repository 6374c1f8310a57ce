"""The plain verbs of the control plane: `vpc`, `cen`, `instance`, `whitelist`, `migration`.

Each is a group of commands over the signed API, for Landbridge or the cloud. `verbs.py` gives
every command the options they share, `api.py` calls and says what to do after a refusal,
`tables.py` declares lists, `waiting.py` follows what the service reports.
"""
