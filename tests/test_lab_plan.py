"""Plan files: what is read, what is refused and with which words, and how a changed file meets
what commands have changed. No server, no network."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from types import SimpleNamespace

import pytest

from landbridge.errors import LandbridgeError, NetworkFailed, NetworkRefused, UsageError
from landbridge.lab.accounts import ensure_passfiles
from landbridge.lab.changes import attach, drop_idle_routers, join
from landbridge.lab.lab import Lab
from landbridge.lab.merge import merge
from landbridge.lab.moving import meter_of
from landbridge.lab.plan import Plan, read
from landbridge.lab.store import Labs, Saved
from landbridge.network.fabric import Meter
from landbridge.network.things import Grant, network
from landbridge.postgres.process import wait_until

EXAMPLES = Path(__file__).parent.parent / "examples"
TWO = (EXAMPLES / "two-regions.toml").read_text()


@pytest.fixture
def plan_of(tmp_path: Path) -> Callable[[str], Plan]:
    """Reads a text as a plan file."""

    def made(text: str) -> Plan:
        file = tmp_path / "plan.toml"
        file.write_text(text)
        return read(file)

    return made


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.toml")), ids=lambda f: f.stem)
def test_examples_are_read_and_kept_as_json(file: Path) -> None:
    plan = read(file)
    assert plan.name == file.stem and plan.topology.instances
    assert Plan.from_dict(plan.as_dict()) == plan


def test_example_lacks_attachments_and_line_but_has_the_grant() -> None:
    topology = read(EXAMPLES / "two-regions.toml").topology
    assert list(topology.grants) == ["vpc-a:cen-b"]
    assert not topology.attachments and not topology.lines and not topology.transit_routers
    assert topology.verdict("pgm-b", "pgm-a").reason == "vpc-b has no attachment"


def test_what_the_example_says_is_missing_completes_it(plan_of: Callable[[str], Plan]) -> None:
    lines = TWO[TWO.index("# [[attachments]]") :].splitlines()
    both = "\n".join(line.removeprefix("# ").removeprefix("#") for line in lines)
    other = '\n[[attachments]]\nvpc = "vpc-b"\n'
    topology = plan_of(TWO + both + other).topology
    assert topology.verdict("pgm-a", "pgm-b").passes and topology.verdict("pgm-b", "pgm-a").passes
    assert topology.lines["line-1"].bits_per_second == 100_000_000


@pytest.mark.parametrize(
    ("old", "new", "path", "words", "allowed"),
    [
        ('account = "a"', 'acount = "a"', "vpcs.vpc-a.account", "is missing", "a string"),
        ("rows = 300_000", "row = 300_000", "instances.pgm-a.row", "no key", "whitelist"),
        ('name = "two-regions"', "regions = 2", "regions", "no key", "vswitches"),
        ('name = "two-regions"', 'name = "../victim"', "name", "'../victim'", "small letters"),
        ("[vswitches.vsw-a]", "[vswitches.vpc-a]", "vswitches.vpc-a", "something else", "another"),
        ("rows = 300_000", 'rows = "many"', "instances.pgm-a.rows", "'many'", "whole number"),
        ("rows = 300_000", "major = 9", "instances.pgm-a.major", "9", "10 to 18"),
        ('account = "a"', 'account = "\\u001b"', "vpcs.vpc-a.account", "'\\x1b'", "control"),
        ("[vpcs.vpc-a]", "[vpcs.VPC_A]", "vpcs.VPC_A", "id", "small letters"),
        ('account = "a"', 'account = "c"', "vpcs.vpc-a.account", "no account c", "a, b"),
        ('owner = "b"', 'owner = "c"', "cens.cen-b.owner", "no account c", "a, b"),
        ('"10.10.1.0/24"', '"10.11.1.0/24"', "vswitches.vsw-a", "not a part of vpc-a", ""),
        ('"10.10.1.5"', '"10.10.1.253"', "instances.pgm-a", "no free address", ""),
        ('["10.20.0.0/16"]', '["10.20.0.1/16"]', "instances.pgm-a.whitelist", "10.20.0.1/16", ""),
        ('region = "cn-beijing"', 'region = "北京"', "vpcs.vpc-a.region", "'北京'", "letters"),
        ('a = "owned', '"" = "owned', "accounts.", "cannot be an id", "small letters"),
        ('["10.20.0.0/16"]', "[10]", "instances.pgm-a.whitelist", "10", "strings"),
        ('vpc = "vpc-a"\ncen', 'vpc = "vpc-c"\ncen', "grants[1]", "no VPC vpc-c", ""),
        ('cen = "cen-b"', 'cen = "cen-x"', "grants[1].cen", "no CEN cen-x", "cen-b"),
    ],
)  # fmt: skip
def test_refusal_names_file_key_and_what_is_allowed(
    plan_of: Callable[[str], Plan], old: str, new: str, path: str, words: str, allowed: str
) -> None:
    assert old in TWO
    with pytest.raises(LandbridgeError) as refused:
        plan_of(TWO.replace(old, new, 1))
    message = refused.value.message
    assert "plan.toml: " in message and f" {path}: " in message and words in message
    assert allowed in (refused.value.remedy or "")


def test_broken_rules_of_the_network_are_refused_before_anything_is_made(
    plan_of: Callable[[str], Plan],
) -> None:
    attached = '\n[[attachments]]\nvpc = "vpc-a"\n[[attachments]]\nvpc = "vpc-b"\n'
    with pytest.raises(UsageError, match="account a has not granted vpc-a"):
        plan_of(TWO.replace('[[grants]]\nvpc = "vpc-a"\ncen = "cen-b"', "") + attached)
    same = TWO.replace("10.20.", "10.10.").replace("10.10.1.0/24", "10.10.2.0/24", 1)
    with pytest.raises(UsageError) as refused:
        plan_of(same.replace('"10.10.1.5"', '"10.10.2.5"', 1) + attached)
    assert "vpc-b of account b (10.10.0.0/16) overlaps vpc-a of account a" in refused.value.message


def test_plan_of_an_editor_that_marks_utf8_is_read(plan_of: Callable[[str], Plan]) -> None:
    assert plan_of(f"\ufeff{TWO}") == plan_of(TWO)


def test_a_file_that_is_none_is_named(tmp_path: Path, plan_of: Callable[[str], Plan]) -> None:
    with pytest.raises(LandbridgeError, match="No such file"):
        read(tmp_path / "nowhere.toml")
    for text in ("name = ", f"name = {'[' * 10_000}", f"name = {'9' * 5_000}"):
        with pytest.raises(LandbridgeError, match="no TOML"):
            plan_of(text)
    with pytest.raises(LandbridgeError, match="more than 1048576 bytes"):
        read(Path("/dev/zero"))


@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
def test_a_lab_of_another_account_is_named(tmp_path: Path) -> None:
    """To whoever would look at it, and to whoever would build it again."""
    Labs(tmp_path).store("one").prepare()
    (tmp_path / "lab/one/lab.json").touch(mode=0o600)
    store = Labs(tmp_path).store("one")
    os.seteuid(65534)
    try:
        for step in (store.load, store.prepare):
            with pytest.raises(LandbridgeError) as refused:
                step()
            assert refused.value.id == "lab.unreadable"
    finally:
        os.seteuid(0)


def _changed_by_commands(plan: Plan) -> Plan:
    wanted = Plan.from_dict(plan.as_dict())
    attach(wanted.topology, "vpc-a", "cen-b")
    attach(wanted.topology, "vpc-b", "cen-b")
    join(wanted.topology, "cen-b", "cn-beijing", "cn-hangzhou", mbit=100)
    return wanted


def test_the_same_file_again_keeps_what_commands_changed(plan_of: Callable[[str], Plan]) -> None:
    plan = plan_of(TWO)
    wanted = _changed_by_commands(plan)
    assert merge(plan, plan_of(TWO), wanted) == (wanted, [])


def test_a_changed_file_wins_where_it_changed(plan_of: Callable[[str], Plan]) -> None:
    plan = plan_of(TWO)
    wanted = _changed_by_commands(plan)
    merged, gone = merge(plan, plan_of(TWO.replace('["10.20.0.0/16"]', '["10.20.1.5"]')), wanted)
    assert merged.topology.instances["pgm-a"].whitelist == (network("10.20.1.5/32"),)
    assert merged.topology.lines == wanted.topology.lines and not gone


def test_what_a_changed_file_takes_the_ground_from_goes_and_is_named(
    plan_of: Callable[[str], Plan],
) -> None:
    plan = plan_of(TWO)
    without = TWO.replace('[[grants]]\nvpc = "vpc-a"\ncen = "cen-b"', "")
    merged, gone = merge(plan, plan_of(without), _changed_by_commands(plan))
    assert list(merged.topology.attachments) == ["att-vpc-b"]
    assert gone == ["att-vpc-a is gone: account a has not granted vpc-a to cen-b of account b"]


def test_routers_come_and_go_with_what_stands_on_them(plan_of: Callable[[str], Plan]) -> None:
    topology = _changed_by_commands(plan_of(TWO)).topology
    assert list(topology.transit_routers) == ["tr-cen-b-cn-beijing", "tr-cen-b-cn-hangzhou"]
    with pytest.raises(NetworkRefused, match="in use by att-vpc-a"):
        topology.remove(Grant("vpc-a", "cen-b"))
    topology.remove(topology.lines["line-1"])
    topology.remove(topology.attachments["att-vpc-a"])
    drop_idle_routers(topology)
    assert list(topology.transit_routers) == ["tr-cen-b-cn-hangzhou"]


def test_a_lab_lies_nowhere_but_among_the_labs(tmp_path: Path) -> None:
    for name in ("../victim", "/etc", "", ".", "A"):
        with pytest.raises(UsageError) as refused:
            Labs(tmp_path).store(name)
        assert refused.value.id == "lab.bad_name"


def test_whoever_waits_for_a_lab_that_is_taken_down_is_told(tmp_path: Path) -> None:
    store = Labs(tmp_path).store("one")
    with pytest.raises(LandbridgeError) as refused, store.locked():
        pass
    assert refused.value.id == "lab.gone"

    def wait() -> str | None:
        try:
            with store.locked():
                return None
        except LandbridgeError as error:
            return error.id

    store.prepare()
    with ThreadPoolExecutor(1) as pool:
        with store.locked():
            waiting = pool.submit(wait)
            assert wait_until(lambda: _opened(store.folder / "lock") == 2, 20)
            store.remove(keep_data=False)
        assert waiting.result(10) == "lab.gone"


def _opened(file: Path) -> int:
    """How often this process has a file open."""
    return sum(fd.samefile(file) for fd in _open_files())


def _open_files() -> Iterator[Path]:
    for fd in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if fd.exists():
                yield fd


def test_a_password_that_is_there_stays(tmp_path: Path) -> None:
    ensure_passfiles(tmp_path)
    before = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert before.keys() == {"mover.pgpass", "fence.pgpass"}
    ensure_passfiles(tmp_path)
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == before
    assert all(file.stat().st_mode & 0o077 == 0 for file in tmp_path.iterdir())


def test_line_asked_for_again_keeps_its_bandwidth(plan_of: Callable[[str], Plan]) -> None:
    plan = plan_of(TWO)
    for mbit in (40.0, None):
        line = join(plan.topology, "cen-b", "cn-beijing", "cn-hangzhou", mbit=mbit)
        assert line.bits_per_second == 40_000_000


def test_watch_says_what_came_into_the_way_and_every_bandwidth(
    plan_of: Callable[[str], Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And has a network whose process has ended made again."""
    plan = plan_of(TWO)
    store = Labs(tmp_path).store(plan.name)
    store.prepare()
    for vpc in ("vpc-a", "vpc-b"):
        attach(plan.topology, vpc, "cen-b")

    def ordered(mbit: float) -> None:
        join(plan.topology, "cen-b", "cn-beijing", "cn-hangzhou", mbit=mbit)
        store.save(Saved("", "relay", plan, plan))

    said: list[str] = []
    ordered(40)
    lab = Lab(store, Saved("", "relay", plan, plan))
    ended: list[str] = []

    def meter(line: str) -> Meter:
        if watch is not None and len(watch.allocated) == 2 and not ended:
            raise NetworkFailed("gone")
        return Meter(0, 0)

    lab.__dict__["fabric"] = SimpleNamespace(meter=meter)
    monkeypatch.setattr(Lab, "mend", lambda lab: ended.append(lab.store.name))
    watch = meter_of(lab, "pgm-a", "pgm-b", said.append)
    assert watch is not None
    with watch:
        ordered(80)
        assert wait_until(lambda: len(watch.allocated) == 2, 10)
        lost = plan.topology.attachment_of("vpc-a")
        assert lost is not None
        plan.topology.remove(lost)
        store.save(Saved("", "relay", plan, plan))
        assert wait_until(lambda: bool(said), 10)
    assert said == ["the way from pgm-b to pgm-a: vpc-a has no attachment"]
    assert watch.carried().allocated == (40_000_000, 80_000_000)
    assert ended == [plan.name]


def test_network_of_a_lab_that_was_taken_down_is_not_made_again(
    plan_of: Callable[[str], Plan], tmp_path: Path
) -> None:
    """Whoever watches a migration over it would leave a process behind, in a new folder."""
    plan = plan_of(TWO)
    lab = Lab(Labs(tmp_path).store(plan.name), Saved("", "relay", plan, plan))
    lab.store.prepare()
    lab.mend()  # with its data kept
    assert not lab.store.fabric.exists()
    rmtree(lab.store.folder)
    with pytest.raises(LandbridgeError) as caught:
        lab.mend()
    assert caught.value.id == "lab.gone"
    assert not lab.store.folder.exists()
