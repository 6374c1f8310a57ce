"""Real PostgreSQL servers at their places in a fabric: what a lab and a cloud have in common.

::

    room          starts a server at its place, lets clients in, ends all that came of it
    ├── starter       what runs there
    ├── shut_in       becomes a program in its sandbox, with its account and bounds
    │   ├── sandbox       files, signals, privilege
    │   ├── calls         system calls it has no use for
    │   └── cgroup        memory, processors; ends all at once
    └── ending        finds and ends every process
    identity      an account of its own
"""
