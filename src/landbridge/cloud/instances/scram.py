"""What a server keeps of a password: enough to verify it, too little to log in with.

Made here, so that a database account's password never reaches our database, the server's
log or its statistics of statements.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os

#: PostgreSQL's own default.
_ROUNDS = 4096


def verifier(password: str) -> str:
    """A SCRAM-SHA-256 verifier as `pg_authid.rolpassword` holds it.

    `password` must be ASCII, which SASLprep leaves as it is.
    """
    assert password.isascii()
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ROUNDS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt_text, stored_text, server_text = (
        base64.b64encode(part).decode() for part in (salt, stored, server)
    )
    return f"SCRAM-SHA-256${_ROUNDS}:{salt_text}${stored_text}:{server_text}"
