"""The door: signing in, signing out, and who is there."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from ..api.dispatch import Service
from ..cloud import CloudError, Secret, audit, keys, logins, users
from ..cloud.accounts import Account
from ..cloud.throttle import Throttle
from .visit import Who

COOKIE = "landbridge-login"
_FAILURES = Throttle()


@dataclass(frozen=True)
class Door:
    """Lets people in."""

    service: Service

    def who(self, token: str | None) -> Who | None:
        """Who a browser's token stands for, if they are signed in."""
        if not token:
            return None
        with self.service.cloud.database.read() as session:
            login = logins.find(session, token)
            if login is None:
                return None
            return Who(
                uid=login.account_uid,
                account=login.account.name,
                user=login.name,
                access_key_id=login.access_key_id,
                form_token=logins.form_token(token),
            )

    def with_key(self, key_id: str, secret: Secret, source: str) -> Secret:
        """Sign in with an access key; the token. CloudError if it is not the right one."""
        cloud = self.service.cloud
        _FAILURES.begin(key_id[:64], source)
        with cloud.database.write() as session:
            try:
                account, expected = keys.authenticate(session, cloud.vault, key_id)
            except CloudError:
                account, expected = None, Secret("")
            right = hmac.compare_digest(
                expected.reveal().encode(), secret.reveal().encode(errors="replace")
            )
            if account is None or not right:
                raise CloudError("SignatureDoesNotMatch", "There is no such access key and secret.")
            token = logins.open_(session, account, key_id=key_id)
            audit.record(
                session, "console.SignIn", source, account_uid=account.uid, access_key_id=key_id
            )
        _FAILURES.succeeded(key_id[:64], source)
        return token

    def with_password(self, account: str, user: str, password: Secret, source: str) -> Secret:
        """Sign in as a user of an account; the token. CloudError if it is not the right one."""
        database = self.service.cloud.database
        with database.read() as session:
            found = users.verify(session, account, user, password, source=source)
            owner, number = found.account_uid, found.id
        with database.write() as session:
            token = logins.open_(session, session.get_one(Account, owner), user_id=number)
            audit.record(session, "console.SignIn", f"{source} ({user})"[:128], account_uid=owner)
        return token

    def out(self, token: str) -> None:
        """Sign out."""
        with self.service.cloud.database.write() as session:
            logins.close(session, token)
