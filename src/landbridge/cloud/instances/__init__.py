"""Instances: real PostgreSQL servers with a private address in a VPC.

::

    lifecycle     a call orders, finds, restarts, deletes instances
    ├── whitelist     named groups of addresses
    ├── dbaccounts    database accounts; scram makes what proves their passwords
    ├── parameters    what may be set, in which bounds
    └── classes       what an instance is sold with
    tables, states    the rows, and what they can be
    reconciler    brings servers to what the rows want, and adopts them after a crash
    ├── wanted        what is wanted of one server, from the rows
    ├── server        one server: made, started in its sandbox, changed, removed
    ├── homes         where it lies, and the way into it
    ├── standby       a read-only one: copied, following
    ├── storage       how much of its storage is used
    ├── trouble       what went wrong, in words for its owner
    ├── roles         what is done inside it
    └── guard         ends writers where no writes are wanted
    look          what a running server says of itself
"""
