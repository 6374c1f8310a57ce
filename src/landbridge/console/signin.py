"""The door: signing in, signing out, and who is there."""

from __future__ import annotations

import hmac
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from ..api.dispatch import Service
from ..cloud import CloudError, Secret, accounts, audit, keys, logins, users
from ..cloud.throttle import Throttle
from ..cloud.users import ConsoleUser
from .visit import Who

COOKIE = "landbridge-login"
_FAILURES = Throttle()
_SIGN_IN, _CONFIRM = audit.SIGN_IN, "console.ConfirmIdentity"
_WRONG_PASSWORD, _WRONG_SECRET = "SignInFailed", "SignatureDoesNotMatch"


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
        self._require_key(key_id, secret, source, _SIGN_IN)
        with self.service.cloud.database.write() as session:
            account, _ = keys.authenticate(session, self.service.cloud.vault, key_id)
            token = logins.open_(session, account, key_id=key_id)
            audit.record(session, _SIGN_IN, source, account_uid=account.uid, access_key_id=key_id)
        return token

    def with_password(self, account: str, user: str, password: Secret, source: str) -> Secret:
        """Sign in as a user of an account; the token. CloudError if it is not the right one."""
        number, changed = self._require_password(account, user, password, source, _SIGN_IN)
        with self.service.cloud.database.write() as session:
            found = session.get(ConsoleUser, number)
            if found is None or found.is_disabled or found.changed_at != changed:  # meanwhile
                raise CloudError(_WRONG_PASSWORD)
            token = logins.open_(session, found.account, user_id=number)
            audit.record(
                session, _SIGN_IN, audit.by_user(source, user), account_uid=found.account_uid
            )
        return token

    def require(self, who: Who, secret: Secret, source: str) -> None:
        """CloudError unless it is the password, or the secret of the key, of who is signed in."""
        if who.access_key_id:
            self._require_key(who.access_key_id, secret, source, _CONFIRM)
        else:
            self._require_password(str(who.uid), who.user, secret, source, _CONFIRM)

    def out(self, token: str, source: str) -> None:
        """Sign out."""
        with self.service.cloud.database.write() as session:
            login = logins.find(session, token)
            if login is None:
                return
            audit.record(
                session,
                "console.SignOut",
                audit.by_user(source, login.user.name) if login.user else source,
                account_uid=login.account_uid,
                access_key_id=login.access_key_id,
            )
            logins.close(session, token)

    def _require_key(self, key_id: str, secret: Secret, source: str, action: str) -> None:
        cloud = self.service.cloud
        _FAILURES.begin(key_id[:64], source, lambda: self._places(key_id))
        with cloud.database.read() as session:
            try:
                _, expected = keys.authenticate(session, cloud.vault, key_id)
            except CloudError:
                expected = None
        right = expected.reveal().encode() if expected else b""
        if expected and hmac.compare_digest(right, secret.reveal().encode(errors="replace")):
            _FAILURES.succeeded(key_id[:64], source)
            return
        with cloud.database.write() as session, suppress(CloudError):
            audit.record(
                session, action, source, account_uid=keys.find(session, key_id).owner_uid,
                access_key_id=key_id, outcome=_WRONG_SECRET,
            )  # fmt: skip
        raise CloudError(_WRONG_SECRET, "There is no such access key and secret.")

    def _places(self, key_id: str) -> Collection[str]:
        with self.service.cloud.database.read() as session, suppress(CloudError):
            owner = keys.find(session, key_id).owner_uid
            return audit.signed_in_from(session, owner, key=key_id)
        return ()

    def _require_password(
        self, account: str, user: str, password: Secret, source: str, action: str
    ) -> tuple[int, datetime]:
        """The user's number, and since when this is the password."""
        database = self.service.cloud.database
        try:
            with database.read() as session:
                found = users.verify(session, account, user, password, source=source)
                return found.id, found.changed_at
        except CloudError as refusal:
            if refusal.code == _WRONG_PASSWORD:  # the throttle bounds how many are recorded
                self._tell_refused(action, account, user, source)
            raise

    def _tell_refused(self, action: str, account: str, user: str, source: str) -> None:
        """Say so in the account's trail; no name that is no user's, for it may be a secret."""
        with self.service.cloud.database.write() as session, suppress(CloudError):
            owner = accounts.find(session, account)
            with suppress(CloudError):
                source = audit.by_user(source, users.find(session, owner, user).name)
            audit.record(session, action, source, account_uid=owner.uid, outcome=_WRONG_PASSWORD)
