"""The plain verbs: the walk of docs/serve.md as it stands there, and a played service."""

from __future__ import annotations

import http.server
import io
import json
import re
import shlex
import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import parse_qsl

import pytest
from rich.table import Table
from rich.text import Text

from fix_api import Serve
from fix_cli import Called, Cli
from landbridge.api.parameters import parse
from landbridge.api.table import ACTIONS
from landbridge.assessment import Report
from landbridge.cli.app import command
from landbridge.cli.control.advice import ADVICE
from landbridge.cli.harmless import harmless_console
from landbridge.cloud import Cloud, accounts, audit
from landbridge.cloud.errors import CODES, CloudError
from landbridge.postgres.process import wait_until

PAGE = Path(__file__).parent.parent / "docs/serve.md"
ACCOUNTS, NETWORKS, *REST = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)


class Shell:
    """As much of a shell as the walk needs; `a` and `b` are its two functions."""

    def __init__(self, cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._cli, self._folder, self._patch = cli, folder, monkeypatch
        self.names: dict[str, str] = {}

    def run(self, block: str) -> None:
        """Run the lines of a block; every command has to succeed."""
        for line in filter(None, block.splitlines()):
            if line.startswith(("umask ", "a() ", "b() ")):
                continue
            if made := re.fullmatch(r"(\w+)=\$\((.*)\)", line):
                self.names[made[1]] = self.out(made[2])
            else:
                self.out(re.sub(r"\$\((.*?)\)", lambda inner: self.out(inner[1]), line))

    def out(self, line: str) -> str:
        """What a command that succeeds prints."""
        called = self.call(line)
        assert called.code == 0, called
        return called.out.strip()

    def call(self, line: str) -> Called:
        line, _, target = line.partition(" > ")
        who, *words = shlex.split(Template(line).substitute(self.names))
        if who == "printf":
            (self._folder / target).write_text(words[1])
            return Called(0, "", "")
        if who != "landbridge":
            self._patch.setenv("LANDBRIDGE_CREDENTIALS", str(self._folder / f"{who}.json"))
        called = self._cli(*words)
        if target:
            file = self._folder / target
            file.touch(mode=0o600)
            file.write_text(called.out)
        return called

    def object(self, line: str) -> dict[str, Any]:
        return self.call(f"{line} --json").object


def a_shell(cli: Cli, serve: Serve, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    running = serve(folder, "--network", "relay")
    monkeypatch.setenv("LANDBRIDGE_STATE", str(folder))
    monkeypatch.setenv("LANDBRIDGE_ENDPOINT", running.endpoint)
    monkeypatch.chdir(folder)
    return Shell(cli, folder, monkeypatch)


def test_the_walk_joins_the_networks_of_two_accounts_and_can_be_taken_back(
    cli: Cli, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = a_shell(cli, serve, tmp_path, monkeypatch)
    shell.run(ACCOUNTS)
    shell.run(NETWORKS)

    shown = shell.object("b cen show $cen")
    assert {row["VpcId"] for row in shown["attachments"]} == {
        shell.names["vpc_a"], shell.names["vpc_b"],
    }  # fmt: skip
    (connection,) = shown["connections"]
    assert (connection["Status"], connection["Bandwidth"]) == ("Attached", 200)
    assert connection["CenBandwidthPackageId"] == shell.names["plan"]
    assert [row["VpcId"] for row in shell.object("a vpc list")["vpcs"]] == [shell.names["vpc_a"]]
    assert "10.10.1.0/24" in shell.out("a vpc show $vpc_a")
    assert shell.object("a cen grants $vpc_a")["grants"][0]["CenId"] == shell.names["cen"]

    for line, id, said in (
        ("b cen plan release $plan $cen", "DependencyViolation", "landbridge cen disconnect"),
        ("b cen connect $cen cn-beijing cn-hangzhou 9", "EntityAlreadyExists.PeerAttachment",
         "landbridge cen bandwidth"),
        ("b cen bandwidth $cen cn-beijing cn-hangzhou 900", "InvalidOperation.BwpBandwidthExceeded",
         ""),
        ("a cen show $cen", "control.unknown", "--credentials"),
        ("b cen attach $cen vpc-x", "control.unknown", "landbridge cen grant vpc-x"),
    ):  # fmt: skip
        refused = shell.object(line)["error"]
        assert refused["id"] == id, line
        assert said in (refused["remedy"] or ""), line

    shell.out("b cen bandwidth $cen cn-hangzhou cn-beijing 100 --wait")
    shell.run(
        "a cen detach $cen $vpc_a --wait\nb cen disconnect $cen cn-hangzhou cn-beijing --wait"
    )
    shell.run("b cen plan release $plan $cen\nb cen detach $cen $vpc_b --wait")
    shell.out("b cen delete $cen --wait")
    assert shell.object("b cen list")["cens"] == []


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the accounts of servers can pass through."""
    made = Path(tempfile.mkdtemp(prefix="lb-walk-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.mark.slow
def test_the_whole_walk_moves_an_instance_to_the_other_account(
    cli: Cli, folder: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = a_shell(cli, serve, folder, monkeypatch)
    for block in (ACCOUNTS, NETWORKS, *REST):
        shell.run(block)
    assert json.loads((folder / "evidence.json").read_text())["task"]["state"] == "finished"

    def moved() -> bool:  # its server is started once more, in the sandbox
        rows = shell.object("b instance account list $target")["accounts"]
        return [row["AccountName"] for row in rows] == ["migrator"]

    assert wait_until(moved, 60, 0.5)
    assert "Kranich" not in cli.said
    for who, name in (("a", "source"), ("b", "target")):
        shell.out(f"{who} instance delete ${name} --yes --wait")


class Played:
    """A service that checks calls against the real table and answers what it was told to."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Any]] = {}
        self.calls: list[tuple[str, dict[str, str]]] = []
        self._actions = {(a.product.value, a.name): a for a in ACTIONS}
        played = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"] or 0)).decode()
                status, answer = played._answer(
                    (self.headers["x-acs-version"], self.headers["x-acs-action"]),
                    dict(parse_qsl(body)),
                )
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def _answer(self, key: tuple[str, str], given: dict[str, str]) -> tuple[int, dict[str, Any]]:
        action = self._actions[key]
        self.calls.append((action.name, given))
        known = {param.name for param in action.understood}
        try:
            assert {name.partition(".")[0] for name in given} <= known, given
            parse(action, given)
            script = self.answers[action.name]
            answer = script.pop(0) if len(script) > 1 else script[0]
            if isinstance(answer, CloudError):
                raise answer
        except CloudError as refusal:
            return refusal.http, {"Code": refusal.code, "Message": refusal.message}
        return 200, answer

    def sent(self, action: str) -> dict[str, str]:
        """The parameters of the last call of an action."""
        return next(given for name, given in reversed(self.calls) if name == action)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    made = Played()
    monkeypatch.setenv("LANDBRIDGE_ENDPOINT", f"127.0.0.1:{made.server.server_port}")
    monkeypatch.setenv("LANDBRIDGE_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("LANDBRIDGE_ACCESS_KEY_SECRET", "secret")
    yield made
    made.server.shutdown()
    made.server.server_close()


def moving(status: str, label: str, **more: Any) -> dict[str, Any]:
    """What DescribeMigration answers."""
    return {
        "TaskId": 7, "DBInstanceName": "pgm-1", "Status": status, "Label": label, "Stage": "x",
        "Guarantee": "Nothing is lost.", "Error": None, "Trouble": "", "Live": {}, **more,
    }  # fmt: skip


def test_a_list_has_the_rows_of_all_pages(cli: Cli, played: Played) -> None:
    def page(number: int) -> dict[str, Any]:
        rows = [{"BandwidthPackageId": number}]
        return {"CenBandwidthPackages": {"CenBandwidthPackage": rows}, "TotalCount": 2,
                "PageNumber": number}  # fmt: skip

    played.answers["DescribeCenBandwidthPackages"] = [page(1), page(2)]
    assert len(cli("cen", "plan", "list", "--json").object["plans"]) == 2
    rules = [
        {"GrantRules": [{"CenId": "cen-1"}], "NextToken": "1"},
        {"GrantRules": [{"CenId": "2"}]},
    ]
    played.answers["DescribeGrantRulesToResource"] = rules
    assert len(cli("cen", "grants", "vpc-1", "--json").object["grants"]) == 2
    assert played.sent("DescribeGrantRulesToResource")["NextToken"] == "1"


def test_waiting_says_each_state_once_and_outlasts_a_service_that_is_away(
    cli: Cli, played: Played
) -> None:
    def seen(state: str, **more: str) -> dict[str, Any]:
        return {"Items": {"DBInstanceAttribute": [{"DBInstanceStatus": state, **more}]}}

    played.answers["RestartDBInstance"] = [{}]
    played.answers["DescribeDBInstanceAttribute"] = [
        seen("Rebooting"), seen("Rebooting"), CloudError("ServiceUnavailable"),
        seen("Rebooting", Trouble="no place"), seen("Running"),
    ]  # fmt: skip
    called = cli("instance", "restart", "pgm-1", "--wait")
    said = [line.partition(" s  ")[2] for line in called.err.splitlines()]
    assert said[0] == "pgm-1: Rebooting"
    assert said[1].startswith("pgm-1: asking again (")
    assert said[2:] == ["pgm-1: Rebooting (no place)", "pgm-1: Running"]
    assert called.out == "pgm-1 is restarted.\n"

    played.answers["DescribeDBInstanceAttribute"] = [CloudError("InvalidDBInstanceId.NotFound")]
    assert cli("instance", "restart", "pgm-1", "--wait", "--json").object["error"]["id"] == (
        "wait.ended"
    )
    played.answers["DeleteDBInstance"] = [{}]
    assert cli("instance", "delete", "pgm-1", "--yes", "--wait").code == 0
    assert cli("instance", "delete", "pgm-1", "--json").object["error"]["remedy"].endswith("--yes.")


def test_a_vpc_whose_vswitch_is_refused_is_taken_back(cli: Cli, played: Played) -> None:
    played.answers["CreateVpc"] = [{"VpcId": "vpc-1"}]
    played.answers["CreateVSwitch"] = [{"VSwitchId": "vsw-1"}, CloudError("InvalidZoneId.NotFound")]
    played.answers["DeleteVSwitch"] = played.answers["DeleteVpc"] = [{}]
    create = ("vpc", "create", "cn-beijing", "10.1.0.0/16", "--vswitch", "a=10.1.1.0/24",
              "--vswitch", "b=10.1.2.0/24", "--json")  # fmt: skip
    assert cli(*create).object["error"]["id"] == "InvalidZoneId.NotFound"
    assert played.sent("DeleteVSwitch")["VSwitchId"] == "vsw-1"
    assert played.sent("DeleteVpc")["VpcId"] == "vpc-1"

    played.answers["CreateVSwitch"] = [CloudError("InvalidZoneId.NotFound")]
    played.answers["DeleteVpc"] = [CloudError("ServiceUnavailable")]
    assert "vpc-1 is left" in cli(*create).object["error"]["remedy"]


def test_waiting_for_an_account_to_go_ends_when_it_stays(cli: Cli, played: Played) -> None:
    played.answers["DeleteAccount"] = [{}]
    row = {"AccountName": "ann", "AccountStatus": "Available", "AccountTrouble": ""}
    played.answers["DescribeAccounts"] = [
        {"Accounts": {"DBInstanceAccount": [row | {"AccountTrouble": text}]}}
        for text in ("", "the account ann still owns something")
    ]
    called = cli("instance", "account", "delete", "pgm-1", "ann", "--wait", "--json")
    assert called.object["error"]["id"] == "wait.ended"
    assert "still owns something" in called.object["error"]["message"]


def test_passwords_come_from_a_file_and_are_shown_nowhere(
    cli: Cli, played: Played, tmp_path: Path
) -> None:
    (tmp_path / "word").write_text("Kranich-7_fliegt\n")
    played.answers["CreateAccount"] = [{}]
    create = ("instance", "account", "create", "pgm-1", "ann")
    assert cli(*create, "--password-file", tmp_path / "word", "--privileged").code == 0
    sent = played.sent("CreateAccount")
    assert (sent["AccountPassword"], sent["AccountType"]) == ("Kranich-7_fliegt", "Super")
    missing = cli(*create, "--json")
    assert (missing.code, missing.object["error"]["id"]) == (2, "credentials.missing")
    assert "Kranich" not in cli.said


def test_a_migration_goes_by_the_source_that_was_assessed(
    cli: Cli, played: Played, tmp_path: Path
) -> None:
    (tmp_path / "word").write_text("secret")
    source = {"SourceIpAddress": "10.1.1.1", "SourcePort": 5433, "SourceAccount": "ann",
              "SourceCategory": "other"}  # fmt: skip
    played.answers["DescribeAssessment"] = [{"DBInstanceName": "pgm-1"}]
    played.answers["DescribeCloudMigrationPrecheckResult"] = [{"Items": [source]}]
    played.answers["CreateCloudMigrationTask"] = [{"TaskId": 7}]
    played.answers["DescribeMigration"] = [
        moving("Running", "Full copy", Live={"copied": 1}),
        moving("ReadyToSwitch", "Incremental synchronization"),
    ]
    called = cli("migration", "create", "5", "--password-file", tmp_path / "word", "--wait")
    assert called.out == "7\n"
    assert "Full copy" in called.err and "Incremental synchronization" in called.err
    sent = played.sent("CreateCloudMigrationTask")
    assert {name: sent[name] for name in source} == {k: str(v) for k, v in source.items()}

    ended = {"id": "copy.failed", "message": "the disk is full", "remedy": "Make room."}
    played.answers["DescribeMigration"] = [moving("Failed", "Failed", Error=ended)]
    called = cli("migration", "watch", "7", "--json")
    assert (called.code, called.object["error"]["id"]) == (1, "copy.failed")


def test_a_finding_is_fixed_and_looked_at_again_by_itself(
    cli: Cli, played: Played, tmp_path: Path
) -> None:
    (tmp_path / "word").write_text("secret")
    idle = {"TaskId": 5, "Status": "Failed", "FixesPending": False, "RecheckPending": None,
            "Fixes": None, "Report": Report((), (), "", "", {}, {}).as_dict()}  # fmt: skip
    fixes = [
        {
            "id": "wal.senders",
            "outcome": "applied",
            "why": "",
            "lines": ["ALTER"],
            "undo": ["BACK"],
        },
        {"id": "wal.slots", "outcome": "refused", "why": "must be superuser", "lines": []},
    ]
    why = [{"FindingId": "auth.hba", "Outcome": "not_applicable", "Why": "nothing to run"}]
    played.answers["ApplyAssessmentFixes"] = [{"TaskId": 5, "Findings": why}]
    played.answers["DescribeAssessment"] = [
        idle, {**idle, "FixesPending": True}, {**idle, "Fixes": fixes},
    ]  # fmt: skip
    word = ("--password-file", tmp_path / "word", "--wait")
    findings = ("--finding", "wal.senders", "--finding", "wal.slots", "--finding", "auth.hba")
    called = cli("migration", "fix", "5", "--user", "boss", *findings, *word)
    assert called.code == 3
    assert json.loads(played.sent("ApplyAssessmentFixes")["FindingIds"]) == list(findings[1::2])
    assert "wal.senders: applied" in called.out and "BACK" in called.out
    assert "wal.slots: refused; must be superuser" in called.out

    again = {"FindingId": "wal.slots", "Checked": False, "WhyNot": "nobody logs in"}
    played.answers["RecheckAssessmentFinding"] = [{"TaskId": 5}]
    played.answers["DescribeAssessment"] = [
        {**idle, "RecheckPending": "wal.slots"}, {**idle, "Recheck": again},
    ]  # fmt: skip
    called = cli("migration", "recheck", "5", "--finding", "wal.slots", *word)
    assert called.code == 0 and "nobody logs in" in called.err
    assert played.sent("RecheckAssessmentFinding")["FindingId"] == "wal.slots"
    played.answers["RecheckAssessment"] = [{"TaskId": 5}]
    assert cli("migration", "recheck", "5", *word[:2], "--json").object["TaskId"] == 5


def test_a_switchover_sends_what_was_confirmed_and_says_when_it_was_put_back(
    cli: Cli, played: Played
) -> None:
    played.answers["SwitchOverMigration"] = [CloudError("OperationDenied.ConfirmationMissing")]
    refused = cli("migration", "switchover", "7", "--writes-stopped", "--json")
    assert "--lag-accepted" in refused.object["error"]["remedy"]
    sent = played.sent("SwitchOverMigration")
    assert (sent["ConfirmWritesStopped"], sent["ConfirmLag"]) == ("true", "false")
    assert "TimeLimit" not in sent  # it stays what the migration was begun with

    everything = ("--writes-stopped", "--lag-accepted", "--repointing", "--wait", "--json")
    played.answers["SwitchOverMigration"] = [{"TaskId": 7}]
    undone = {"id": "switchover.undone", "message": "put back", "remedy": None}
    ready = "ReadyToSwitch", "Incremental synchronization"
    for after, code, id in (
        (moving(*ready, Error=undone), 1, "switchover.undone"),
        (moving("Finished", "Finished"), 0, None),
    ):
        played.answers["DescribeMigration"] = [
            moving(*ready), moving("Switching", "Fencing the source"), after,
        ]  # fmt: skip
        called = cli("migration", "switchover", "7", *everything, "--time-limit", "45")
        assert (called.code, called.object.get("error", {}).get("id")) == (code, id)
        assert played.sent("SwitchOverMigration")["TimeLimit"] == "45"
    refused = cli("migration", "switchover", "7", *everything, "--time-limit", "0")
    assert refused.object["error"]["id"] == "InvalidParameter"


def _commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, found in group.commands.items():
        if hasattr(found, "commands"):
            yield from _commands(found, (*path, name))
        else:
            yield " ".join((*path, name)), found


def test_advice_is_about_codes_that_exist_and_names_commands_that_exist() -> None:
    assert set(ADVICE) - set(CODES) == {"rpc.failed"}
    known = {name for name, _ in _commands(command())}
    for text in (*ADVICE.values(), PAGE.read_text()):
        for named in re.findall(
            r"\b(?:landbridge|[ab]) ((?:cen|vpc|instance|migration) [a-z -]+)", text
        ):
            assert any(named.startswith(one) for one in known), named


@pytest.mark.parametrize("name", ["vpc", "cen", "instance", "whitelist", "migration"])
def test_every_verb_explains_itself_and_takes_the_shared_options(name: str) -> None:
    for path, found in _commands(command().commands[name]):
        assert found.help, path
        assert {"endpoint", "credentials", "json"} <= {p.name for p in found.params}, path
        for parameter in found.params:
            assert getattr(parameter, "help", None), f"{path}: {parameter.name}"


def test_no_name_of_a_tenants_steers_the_terminal_of_who_reads_it(
    cli: Cli, played: Played, state_dir: Path
) -> None:
    hostile = "vpc-\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp\r"
    cloud = Cloud.open(state_dir)
    with cloud.database.write() as session:
        ann = accounts.create(session, "ann")
        audit.record(session, "vpc.DeleteVpc", "::1", account_uid=ann.uid, resource=hostile)
    cloud.close()
    played.answers["DescribeMigration"] = [CloudError("InvalidParameter", hostile)]
    for called in (cli("account", "trail", "ann"), cli("migration", "show", "7")):
        said = called.out + called.err
        assert "]0;owned" in said
        assert not set("\x1b\x07\x9b\u202e\r") & set(said)

    screen = io.StringIO()
    table = Table(hostile, title=hostile)
    table.add_row(Text(hostile, style="bold red"), f"{hostile}\nnext")
    harmless_console(file=screen, force_terminal=True, width=200).print(table, hostile)
    said = screen.getvalue()
    assert "owned" in said and "\x1b[1;31m" in said, "its own styles are there"
    assert not set("\x07\x9b\u202e\r") & set(said) and "\x1b]" not in said
    assert "\x1b[2J" not in said
