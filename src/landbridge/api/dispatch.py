"""One call from request to answer.

A reading action sees one moment of the database. A writing one does all its work, the
answer to its ClientToken and its entry in the audit trail in one transaction.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from typing import Any

from ..cloud import Cloud, CloudError, Session, audit, idempotency, keys, replay
from ..cloud.accounts import Account
from ..cloud.turns import Turns
from ..errors import LandbridgeError
from . import parameters
from .action import CLIENT_TOKEN, DRY_RUN, Action, Call, Kind, Lane, Product
from .bodies import Bodies
from .gate import authenticate, moment
from .logs import Logger
from .metrics import Metrics
from .request import Request
from .signature import claim, named_key

_SUCCESS = audit.SUCCESS
#: Seconds between two entries about one key and one reason, of calls that do not prove the key:
#: anybody can make those.
_UNPROVEN = 60.0
#: Calls of one account that ask servers at the same time.
ASKED_AT_ONCE = 8
#: Not of an action's own arguments: they say how it is to be called.
_MANNER = {CLIENT_TOKEN.name, DRY_RUN.name}


@dataclass(frozen=True)
class Answer:
    """What goes back: an HTTP status and a JSON object."""

    status: int
    body: dict[str, Any]


@dataclass(frozen=True)
class Ask:
    """A call of someone who has signed in: what the console does goes through here."""

    account_uid: int
    access_key_id: str | None
    """With which they signed in; None for a user with a password."""
    action: str
    """Its label, like `vpc.CreateVpc`."""
    arguments: Mapping[str, str]
    """As text, in the form that a call has them: `ZoneMappings.1.ZoneId`."""
    source: str
    host: str
    is_routine: bool = False
    """An open page looks again: no line in the log, unless it is refused."""


@dataclass
class _Seen:
    """What is known of a call so far, for the log and the audit trail."""

    request_id: str
    source: str
    action: Action | None = None
    key: str | None = None
    """The one that is named; its signature fits once `account` is known."""
    account: Account | None = None

    @property
    def label(self) -> str:
        return self.action.label if self.action else "unknown"


class Service:
    """Answers calls to the actions of a table; any number of threads at once."""

    def __init__(self, cloud: Cloud, actions: Sequence[Action], log: Logger) -> None:
        self.cloud = cloud
        self.metrics = Metrics(cloud)
        self.bodies = Bodies()
        self._nonces = replay.Nonces(cloud.folder / "nonces")
        self._log = log
        self._versions = {product.value for product in Product}
        self._actions = {(action.product.value, action.name): action for action in actions}
        self._labels = {action.label: action for action in actions}
        self._quiet: dict[tuple[str, str], float] = {}
        self._asking = Turns(ASKED_AT_ONCE, "calls that ask servers")

    def answer(self, request: Request) -> Answer:
        """Answer a call; whatever goes wrong is an answer too."""
        seen = _Seen(new_request_id(), request.source, key=named_key(request))
        outcome = self._outcome(request, seen, lambda: self._call(request, seen))
        if isinstance(outcome, CloudError):
            return refused(outcome, seen.request_id, request.host)
        return Answer(200, {**outcome, "RequestId": seen.request_id})

    def lane(self, request: Request) -> Lane:
        """With which other calls a call takes turns."""
        try:
            return self._find(request).lane
        except CloudError:
            return Lane.READ

    def perform(self, ask: Ask) -> dict[str, Any]:
        """The answer to a call of someone who has signed in. CloudError where it is refused."""
        action = self._labels[ask.action]
        seen = _Seen(new_request_id(), ask.source, action, ask.access_key_id)
        outcome = self._outcome(ask, seen, lambda: self._perform(ask, seen))
        if isinstance(outcome, CloudError):
            raise outcome
        return outcome

    def defect(self, problem: Exception) -> CloudError:
        """What is answered where we have made a mistake; it is told in the log."""
        self._log.error("defect", exc_info=problem)
        return CloudError("InternalError")

    def _outcome(
        self, request: Request | Ask, seen: _Seen, work: Callable[[], dict[str, Any]]
    ) -> dict[str, Any] | CloudError:
        begun = time.monotonic()
        outcome: dict[str, Any] | CloudError
        try:
            outcome = work()
        except CloudError as refusal:
            outcome = refusal
        except Exception as problem:
            outcome = self._failure(problem, seen)
        code = outcome.code if isinstance(outcome, CloudError) else _SUCCESS
        self._account_for(request, seen, code, time.monotonic() - begun)
        return outcome

    def _call(self, request: Request, seen: _Seen) -> dict[str, Any]:
        seen.action = action = self._find(request)
        said = claim(request)
        hides = any(p.kind is Kind.SECRET for p in action.parameters)
        with self.cloud.database.read() as session:
            account = authenticate(session, self.cloud.vault, said, show_signed=not hides)
            seen.key = said.access_key_id
            lasting = action.writes or action.acts
            self._nonces.use(said.access_key_id, said.nonce, moment(said), lasting=lasting)
            seen.account = account
            call = self._understood(request, action, account, session)
            if not action.writes:
                return self._read(action, call, seen)
            looked = self._look(action, call)
        return self._write(request, action, replace(call, seen=looked), seen)

    def _perform(self, ask: Ask, seen: _Seen) -> dict[str, Any]:
        action = self._labels[ask.action]
        with self.cloud.database.read() as session:
            seen.account = account = session.get_one(Account, ask.account_uid)
            call = self._understood(ask, action, account, session)
            if not action.writes:
                return self._read(action, call, seen)
            looked = self._look(action, call)
        return self._write(ask, action, replace(call, seen=looked), seen)

    def _understood(
        self, request: Request | Ask, action: Action, account: Account, session: Session
    ) -> Call:
        arguments = parameters.parse(action, request.arguments)
        return Call(account, arguments, session, self.cloud, request.host)

    def _look(self, action: Action, call: Call) -> Any:
        """What a writing action sees before its transaction, which then decides."""
        if action.look is None:
            return None
        with self._asking.taken(call.account.uid), suppress(CloudError):
            return action.look(call)

    def _read(self, action: Action, call: Call, seen: _Seen) -> dict[str, Any]:
        asks = action.lane is Lane.ASK
        with self._asking.taken(call.account.uid) if asks else nullcontext():
            answer = action.handler(call)
        _stop_dry_run(call.arguments)
        if action.acts:
            with self.cloud.database.write() as writer:
                about = _resource(action, call.arguments)
                _record(writer, seen, call.account.uid, about, _SUCCESS)
        return answer

    def _find(self, request: Request) -> Action:
        for name, text in (("Action", request.action), ("Version", request.version)):
            if not text:
                raise CloudError("MissingParameter", f"{name} is needed")
        if (found := self._actions.get((request.version, request.action))) is not None:
            return found
        raise CloudError(
            "InvalidAction.NotFound" if request.version in self._versions else "InvalidVersion"
        )

    def _write(
        self, request: Request | Ask, action: Action, call: Call, seen: _Seen
    ) -> dict[str, Any]:
        account, arguments = call.account, call.arguments
        given = _repeatable(action, request.arguments)
        token = arguments.get(CLIENT_TOKEN.name)
        with self.cloud.database.write() as session:
            if token:
                kept = idempotency.recall(session, account, action.label, token, given)
                if kept is not None:
                    return kept
            answer = action.handler(replace(call, session=session))
            _stop_dry_run(arguments)
            if token:
                idempotency.remember(session, account, action.label, token, given, answer)
            about = _resource(action, answer) or _resource(action, arguments)
            _record(session, seen, account.uid, about, _SUCCESS)
        return answer

    def _failure(self, problem: Exception, seen: _Seen) -> CloudError:
        if isinstance(problem, LandbridgeError) and problem.retryable:
            self._log.warning("not now", request_id=seen.request_id, problem=problem.message)
            return CloudError("ServiceUnavailable")
        self._log.error("defect", request_id=seen.request_id, exc_info=problem)
        return CloudError("InternalError")

    def _account_for(self, request: Request | Ask, seen: _Seen, code: str, seconds: float) -> None:
        self.metrics.count(seen.label, code, seconds)
        is_quiet = isinstance(request, Ask) and request.is_routine and code == _SUCCESS
        (self._log.debug if is_quiet else self._log.info)(
            "call",
            request_id=seen.request_id,
            source=seen.source,
            action=seen.label,
            account=seen.account.uid if seen.account else None,
            access_key=seen.key and seen.key[:64],
            code=code,
            milliseconds=round(seconds * 1000, 1),
        )
        if code != _SUCCESS:
            try:
                self._keep_refusal(request, seen, code)
            except Exception as problem:  # the caller's answer stands
                self._log.error("no audit", request_id=seen.request_id, exc_info=problem)

    def _keep_refusal(self, request: Request | Ask, seen: _Seen, code: str) -> None:
        """Keep a refusal in the trail of the account that it concerns, if there is one."""
        resource = None
        if seen.account is None:
            owner = self._owner_to_tell(seen.key, code)
        elif seen.action is None or not (seen.action.writes or seen.action.acts):
            return
        else:
            owner, resource = seen.account.uid, _named(seen.action, request)
        if owner is not None:
            with self.cloud.database.write() as session:
                _record(session, seen, owner, resource, code)

    def _owner_to_tell(self, key: str | None, code: str) -> int | None:
        """Whose key a call named without proving it, unless that was said a moment ago."""
        if key is None or time.monotonic() < self._quiet.get((key, code), 0.0):
            return None
        with self.cloud.database.read() as session:
            if (found := session.get(keys.AccessKey, key)) is None:
                return None
        self._quiet[key, code] = time.monotonic() + _UNPROVEN
        return found.owner_uid


def _record(
    session: Session, seen: _Seen, account_uid: int, resource: str | None, code: str
) -> None:
    audit.record(
        session,
        seen.label,
        seen.source,
        account_uid=account_uid,
        access_key_id=seen.key,
        resource=resource,
        request_id=seen.request_id,
        outcome=code,
    )


def refused(refusal: CloudError, request_id: str, host: str) -> Answer:
    """A refusal as the SDKs read it."""
    body = {
        "RequestId": request_id,
        "HostId": host,
        "Code": refusal.code,
        "Message": refusal.message,
        "Recommend": refusal.remedy or "",
    }
    return Answer(refusal.http, body)


def new_request_id() -> str:
    """An id for one call, as the vendor writes them."""
    return str(uuid.uuid4()).upper()


def _stop_dry_run(arguments: Mapping[str, Any]) -> None:
    """End a dry run that found nothing to refuse; the transaction is undone by it."""
    if arguments.get(DRY_RUN.name):
        raise CloudError("DryRunOperation")


def _repeatable(action: Action, given: Mapping[str, str]) -> dict[str, str]:
    """What must be equal when a ClientToken comes again."""
    secrets = {p.name for p in action.parameters if p.kind is Kind.SECRET}
    return {name: text for name, text in given.items() if name not in _MANNER | secrets}


def _resource(action: Action, values: Mapping[str, Any]) -> str | None:
    found = values.get(action.resource)
    return None if found is None else str(found)


def _named(action: Action, request: Request | Ask) -> str | None:
    """What a refused call was about, as far as it can be read."""
    try:
        found = request.arguments.get(action.resource)
    except CloudError:
        return None
    return found and found.replace("\0", "\N{REPLACEMENT CHARACTER}")
