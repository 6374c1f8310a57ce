"""Console users: who gets in, who is kept out, and how often anybody may guess."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from fix_cli import Cli
from landbridge.cloud import Cloud, CloudError, Secret, accounts, audit, users
from landbridge.cloud.throttle import Throttle

GOOD = Secret("correct horse é")


def _verified(cloud: Cloud, account: str, name: str, password: Secret, **more: Any) -> str:
    more = {"source": "192.0.2.1", "failures": Throttle(), **more}
    with cloud.database.read() as session:
        return users.verify(session, account, name, password, **more).name


def _code(work: Callable[[], object]) -> str:
    with pytest.raises(CloudError) as refused:
        work()
    return refused.value.code


@pytest.fixture
def anna(cloud: Cloud) -> int:
    """An account `ann` with the user `anna`; its UID."""
    with cloud.database.write() as session:
        account = accounts.create(session, "ann")
        accounts.create(session, "ben")
        users.create(session, account, "anna", GOOD)
        return account.uid


def test_a_user_gets_in_by_the_accounts_name_or_uid_and_nobody_else_does(
    cloud: Cloud, anna: int
) -> None:
    assert _verified(cloud, "ann", "anna", GOOD) == "anna"
    decomposed = Secret("correct horse e\N{COMBINING ACUTE ACCENT}")
    assert _verified(cloud, str(anna), "anna", decomposed) == "anna"
    for account, name, password in (
        ("ann", "anna", Secret("correct horse e")),
        ("ann", "anna", Secret("")),
        ("ann", "anna", Secret("\ud800")),
        ("ben", "anna", GOOD),
        ("nobody", "anna", GOOD),
        ("ann", "Anna", GOOD),
    ):
        assert (
            _code(lambda a=account, n=name, p=password: _verified(cloud, a, n, p)) == "SignInFailed"
        )
    with cloud.database.write() as session:
        users.find(session, accounts.find(session, "ann"), "anna").is_disabled = True
    assert _code(lambda: _verified(cloud, "ann", "anna", GOOD)) == "SignInFailed"


def test_an_unknown_user_costs_the_same_work(
    cloud: Cloud, anna: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[dict[str, Any]] = []
    real = hashlib.scrypt

    def counted(text: bytes, **how: Any) -> bytes:
        done.append({name: value for name, value in how.items() if name != "salt"})
        return real(text, **how)

    monkeypatch.setattr(hashlib, "scrypt", counted)
    for account, name in (("ann", "anna"), ("ann", "bob"), ("nobody", "anna")):
        assert (
            _code(lambda a=account, n=name: _verified(cloud, a, n, Secret("x"))) == "SignInFailed"
        )
    assert len(done) == 3
    assert done[0] == done[1] == done[2]


def test_a_hash_is_salted_and_names_its_cost(
    cloud: Cloud, anna: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(users, "_COST", (10, 8, 1))  # of an earlier release
    with cloud.database.write() as session:
        account = accounts.find(session, "ann")
        for name in ("bob", "bab"):
            users.create(session, account, name, GOOD)
    monkeypatch.undo()
    assert _verified(cloud, "ann", "bob", GOOD) == "bob"
    with cloud.database.read() as session:
        account = accounts.find(session, "ann")
        found = [users.find(session, account, name) for name in ("anna", "bob", "bab")]
    assert len({user.salt for user in found}) == len({user.digest for user in found}) == 3
    assert [user.log_n for user in found] == [15, 10, 10]
    assert all(b"correct" not in user.digest + user.salt for user in found)


@pytest.mark.parametrize(
    "password", ["", "elevenchars", "x" * 257, "a" * 20, "my-anna-password", "tab\tcharacters"]
)
def test_a_password_that_is_no_good_is_refused(cloud: Cloud, anna: int, password: str) -> None:
    with cloud.database.write() as session:
        user = users.find(session, accounts.find(session, "ann"), "anna")
        code = _code(lambda: user.set_password(Secret(password)))
    assert code == "InvalidPassword.Malformed"
    assert _verified(cloud, "ann", "anna", GOOD) == "anna"


def test_guesses_are_held_back_by_user_and_by_address(cloud: Cloud, anna: int) -> None:
    now = 1000.0
    failures = Throttle(lambda: now)

    def attempt(name: str, source: str, password: Secret = Secret("no")) -> str:  # noqa: B008
        try:
            return _verified(cloud, "ann", name, password, source=source, failures=failures)
        except CloudError as refusal:
            return refusal.code

    wrong = [attempt("anna", "192.0.2.9") for _ in range(6)]
    assert wrong == ["SignInFailed"] * 5 + ["Throttling.User"]
    assert attempt("anna", "192.0.2.9", GOOD) == "Throttling.User"
    assert attempt("anna", "192.0.2.8", GOOD) == "anna", "not kept out by somebody elsewhere"
    now += 31
    assert attempt("anna", "192.0.2.9", GOOD) == "anna"
    assert attempt("anna", "192.0.2.9", GOOD) == "anna", "who gets in spends nothing"

    one_network = [attempt(f"u{i}", f"2001:db8::{i:x}") for i in range(21)]
    assert one_network == ["SignInFailed"] * 20 + ["Throttling.User"]
    assert attempt("u99", "2001:db8:0:1::1") == "SignInFailed"


def test_guesses_from_everywhere_at_one_user_are_held_back() -> None:
    now = 1000.0
    failures = Throttle(lambda: now)
    for n in range(200):
        failures.begin("anna", f"198.51.{n // 5}.1")
    for source in ("203.0.113.1", "2001:db8::1"):
        with pytest.raises(CloudError) as refused:
            failures.begin("anna", source)
        assert refused.value.code == "Throttling.User"
    failures.begin("ben", "203.0.113.1")
    now += 5
    failures.begin("anna", "203.0.113.1")
    failures.succeeded("anna", "203.0.113.1")
    failures.begin("anna", "203.0.113.1")


def test_where_somebody_has_signed_in_before_guesses_from_elsewhere_keep_nobody_out(
    cloud: Cloud, anna: int
) -> None:
    now = 1000.0
    failures = Throttle(lambda: now)
    with cloud.database.write() as session:
        users.create(session, accounts.find(session, "ann"), "xanna", GOOD)
        for user, source in (
            ("anna", "192.0.2.1"),
            ("anna", "2001:db8::1"),
            ("xanna", "192.0.2.3"),
        ):
            where = audit.by_user(source, user)
            audit.record(session, audit.SIGN_IN, where, account_uid=anna)
        refused = audit.by_user("192.0.2.4", "anna")
        audit.record(session, audit.SIGN_IN, refused, account_uid=anna, outcome="SignInFailed")
        audit.record(session, audit.SIGN_IN, "192.0.2.5", account_uid=anna)  # with a key
        who = str(users.find(session, accounts.find(session, "ann"), "anna").id)
    for n in range(200):
        failures.begin(who, f"198.51.{n // 5}.1")

    def attempt(source: str, password: Secret = GOOD) -> str:
        try:
            return _verified(cloud, "ann", "anna", password, source=source, failures=failures)
        except CloudError as refusal:
            return refusal.code

    for stranger in ("192.0.2.3", "192.0.2.4", "192.0.2.5", "203.0.113.1"):
        assert attempt(stranger) == "Throttling.User", stranger
    assert attempt("192.0.2.1") == attempt("2001:db8::2") == "anna"
    wrong = [attempt("192.0.2.1", Secret("no")) for _ in range(6)]
    assert wrong == ["SignInFailed"] * 5 + ["Throttling.User"]


def test_no_crowd_of_names_fills_the_memory() -> None:
    failures = Throttle(lambda: 0.0)
    for i in range(12_000):
        failures.begin(f"u{i}", f"10.{i >> 8 & 255}.{i & 255}.1")
    for buckets in (failures._pairs, failures._users, failures._sources):
        assert len(buckets._spent) == 10_000


def test_users_are_added_listed_and_removed_on_the_machine(
    state_dir: Any, tmp_path: Any, cli: Cli
) -> None:
    cli("account", "create", "ann")
    made = cli("account", "user", "add", "ann", "anna", "--json").object["user"]
    told = cli("account", "user", "add", "ann", "bob").out
    assert "Password" in told and "once" in told
    (tmp_path / "p").write_text("another horse battery\n")
    given = cli("account", "user", "password", "ann", "bob", "--password-file", tmp_path / "p")
    assert given.code == 0
    assert "battery" not in given.out + given.err
    listed = cli("account", "user", "list", "ann", "--json")
    assert [user["name"] for user in listed.object["users"]] == ["anna", "bob"]
    assert made["password"] not in listed.out
    cloud = Cloud.open(state_dir)
    assert _verified(cloud, "ann", "anna", Secret(made["password"])) == "anna"
    assert _verified(cloud, "ann", "bob", Secret("another horse battery")) == "bob"
    cloud.close()
    assert cli("account", "user", "remove", "ann", "anna").code == 0
    again = cli("account", "user", "remove", "ann", "anna", "--json")
    assert again.object["error"]["id"] == "EntityNotExist.User"
    trail = cli("account", "trail", "ann", "--json").object["entries"]
    assert [entry["action"].rpartition(".")[2] for entry in trail] == [
        "remove", "password", "add", "add", "create",
    ]  # fmt: skip
