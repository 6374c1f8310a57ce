"""A tenant with a shell in its server does to a migration what it can, as root sees it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from fix_migration import Two, two_sites
from landbridge.postgres.process import ProcessId

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="as one user there is nothing to be gained"),
]
SECRET = "root's own"


class Attack:
    """A shell in the destination's server, and what lies on the machine beside it."""

    def __init__(self, two: Two) -> None:
        self.two = two
        self.home = two.state / "instances" / two.b.id
        self.data = self.home / "data"
        self.victim = two.state / "victim"
        self.victim.mkdir(mode=0o755)
        for name in ("file", "pg_control", "landbridge.partial"):
            (self.victim / name).write_text(SECRET)
            (self.victim / name).chmod(0o600)

    def sql(self, script: str) -> None:
        """Run a script of the shell from SQL, shut in as the server is."""
        command = f"sh -c '{self._filled(script)}'".replace("'", "''")
        with self.two.server(self.two.b) as conn:
            conn.execute(f"COPY (SELECT 1) TO PROGRAM '{command}'".encode())

    def run(self, script: str) -> None:
        """Run one as the server's account and not shut in: as where the kernel has no Landlock."""
        subprocess.run(["sh", "-c", self._filled(script)], check=True, **self._account())

    def stay(self, script: str) -> ProcessId:
        """Leave a program that does this again and again, whatever becomes of the server."""
        script = f"while :; do {self._filled(script)}; sleep 0.02; done 2> /dev/null"
        left = subprocess.Popen(["sh", "-c", script], start_new_session=True, **self._account())
        process = ProcessId.of(left.pid)
        assert process is not None
        left.returncode = 0  # followed by its id
        return process

    def _filled(self, script: str) -> str:
        return script.replace("VICTIM", str(self.victim)).replace("DATA", str(self.data))

    def _account(self) -> dict[str, Any]:
        owner = self.data.lstat()
        assert owner.st_uid != 0
        return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}

    def is_harmless(self) -> bool:
        """Whether everything that is not the tenant's is as it was."""
        found = {path.name: path.stat() for path in self.victim.iterdir()}
        return (
            set(found) == {"file", "pg_control", "landbridge.partial"}
            and all((it.st_uid, it.st_mode & 0o777) == (0, 0o600) for it in found.values())
            and all((self.victim / name).read_text() == SECRET for name in found)
            and not self.data.is_symlink()
        )


@pytest.fixture
def attack(without_proxy: None) -> Iterator[Attack]:
    with two_sites(major=15) as two:  # whose CREATEROLE is a shell
        two.a.admit(two.b.cidr)
        yield Attack(two)


def test_no_shell_leads_a_migration_out_of_the_instance(attack: Attack) -> None:
    two = attack.two
    mover = attack.stay("mv DATA DATA.gone; ln -sfn VICTIM DATA")
    two.assess()
    task = two.begin()
    two.until(lambda it: it.replication_state == "streaming")
    assert not mover.alive() and attack.is_harmless()

    # On the hot standby: what root is going to write, to read and to remove.
    attack.sql(
        "cat VICTIM/file > DATA/stolen; touch VICTIM/new; touch DATA.landbridge/pg_hba.conf;"
        " mv DATA DATA.gone; ln -s VICTIM DATA/link; true"
    )
    assert not (attack.data / "link").is_symlink()
    attack.run(
        "ln -s VICTIM/file DATA/.landbridge.partial.new; ln -s VICTIM DATA/pg_tblspc/1;"
        " ln -s VICTIM DATA/base/1.gone; mkfifo DATA/landbridge.partial"
    )
    swapper = attack.stay("mv DATA/global DATA/gone; ln -sfn VICTIM DATA/global")
    assert attack.is_harmless() and (attack.data / "stolen").read_text() == ""
    two.b.ours("CancelMigration", TaskId=task)
    two.b.until("Running")
    assert attack.is_harmless() and not swapper.alive()
    with two.server(two.b) as conn:
        tables = conn.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert tables.fetchone() == (0,)

    assert two.assess()[1].endswith("*Migrate check success*")
    two.begin()
    two.until(lambda it: it.replication_state == "streaming")
    attack.run(
        "ln -s VICTIM/file DATA/.postgresql.conf.new;"
        " rm DATA/postgresql.auto.conf; ln -s VICTIM/file DATA/postgresql.auto.conf"
    )
    two.close_source()
    two.b.rds("ActivateMigrationTargetInstance", dbinstance_name=two.b.id)
    done = two.until(lambda it: it.migrate_stage == "success")
    assert str(two.state) not in done.detail + done.replication_info
    assert attack.is_harmless()
    with two.server(two.b) as conn:
        assert conn.execute("SELECT count(*) FROM orders").fetchone() == (1000,)
        (text,) = conn.execute("SELECT pg_read_file('postgresql.auto.conf')").fetchone() or ("",)
        assert SECRET not in text
