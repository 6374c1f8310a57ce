"""`landbridge serve` and `landbridge rpc` as processes: start, end, kill, TLS, plain HTTP."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlencode

import pytest

from fix_api import Running, Serve, Tenant
from fix_cli import Cli
from fix_console import PASSWORD, Surfer, member
from fix_processes import command_lines
from landbridge.api.action import Product
from landbridge.api.client import CallRefused
from landbridge.api.serving import listening
from landbridge.cloud import Cloud
from landbridge.postgres.process import wait_until


def ask(service: Running, method: str, path: str, body: bytes = b"") -> tuple[int, str, bytes]:
    """Status, content type and body of one answer."""
    connection = http.client.HTTPConnection(service.endpoint, timeout=10)
    connection.request(method, path, body)
    response = connection.getresponse()
    found = response.status, response.headers.get("content-type", ""), response.read()
    connection.close()
    return found


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 400, "MissingParameter"),
        ("POST", "/elsewhere?Action=x", 404, "InvalidAction.NotFound"),
        ("PUT", "/", 405, "UnsupportedHTTPMethod"),
        ("POST", "/healthz", 405, "UnsupportedHTTPMethod"),
        ("GET", "/?Action=%FF&Version=x", 400, "InvalidParameter"),
        ("GET", "/?" + "a=1&" * 2001, 400, "InvalidParameter"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_every_error_is_json_with_a_code(
    service: Running, method: str, path: str, status: int, code: str
) -> None:
    found, kind, body = ask(service, method, path)
    assert (found, kind) == (status, "application/json")
    assert json.loads(body)["Code"] == code
    assert json.loads(body)["HostId"] == service.endpoint


def test_bodies_that_are_too_large_or_no_form_are_refused(service: Running) -> None:
    for body in (b"x" * 1_000_001, b'{"Action": "x"}'):
        status, _, answer = ask(service, "POST", "/", body)
        assert (status, json.loads(answer)["Code"]) == (400, "InvalidParameter")


def test_what_is_not_http_is_answered_in_json(service: Running) -> None:
    host, port = service.endpoint.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as line:
        line.sendall(b"NOT HTTP AT ALL\r\n\r\n")
        answer = b"".join(iter(lambda: line.recv(4096), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert json.loads(body)["Code"] == "InvalidParameter"


def test_connections_do_not_wait_for_one_segment_to_be_acknowledged() -> None:
    with listening("127.0.0.1:0") as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_health_and_figures_can_be_read(tenant: Tenant, service: Running) -> None:
    tenant.call(Product.STS, "GetCallerIdentity")
    assert ask(service, "GET", "/healthz")[::2] == (200, b'{"status":"ok"}')
    figures = ask(service, "GET", "/metrics")[2].decode()
    assert 'landbridge_api_calls_total{action="sts.GetCallerIdentity",code="Success"}' in figures
    assert "landbridge_api_call_seconds_bucket" in figures
    assert 'landbridge_migrations{status="ReadyToSwitch"} 0.0' in figures
    assert str(tenant.uid) not in figures


def test_the_log_has_each_call_and_nothing_of_its_parameters(
    tenant: Tenant, service: Running
) -> None:
    tenant.call(Product.VPC, "DescribeVpcs", RegionId="cn-hangzhou", VpcName="not-in-any-log")
    with pytest.raises(CallRefused):
        tenant.call(Product.VPC, "DescribeVpcs", RegionId="not-in-any-log")
    mine = [line for line in service.logged() if line.get("account") == tenant.uid]
    assert [line["code"] for line in mine] == ["Success", "InvalidRegionId.NotFound"]
    assert {line["action"] for line in mine} == {"vpc.DescribeVpcs"}
    text = service.log.read_text()
    assert "not-in-any-log" not in text
    assert tenant.secret not in text


def test_a_killed_service_comes_back_as_it_was(serve: Serve, tmp_path: Path) -> None:
    first = serve(tmp_path)
    ann = first.tenant("ann")
    vpc = ann.call(Product.VPC, "CreateVpc", RegionId="cn-hangzhou", ClientToken="t")["VpcId"]
    assert first.kill() < 0

    second = serve(tmp_path)
    again = Tenant(second.endpoint, ann.uid, ann.key_id, ann.secret)
    repeated = again.call(Product.VPC, "CreateVpc", RegionId="cn-hangzhou", ClientToken="t")
    assert repeated["VpcId"] == vpc
    assert len(second.trail(ann)) == 1


def test_a_service_ends_when_its_folder_is_removed_and_so_does_what_it_started(
    serve: Serve, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    running = serve(state)
    log = running.log.open()
    ann = running.tenant("ann")
    ann.call(Product.VPC, "CreateVpc", RegionId="cn-hangzhou")
    assert wait_until((state / "network/daemon.sock").exists, 20)
    begun = daemons(state)
    assert len(begun) == 1
    # Mounts of the network stay, and the folders on the way to them.
    subprocess.run(["rm", "-rf", state / "cloud", state / "network"], check=False)
    assert running.process.wait(20) == 1
    with log:
        assert "[state.gone]" in log.read()
    assert wait_until(lambda: not daemons(state), 20)
    assert not (state / "network/daemon.sock").exists()


def daemons(state: Path) -> list[int]:
    """Processes of the daemons that ever worked on the network of a state folder."""
    folder = os.fsencode(state / "network")
    wanted = {folder, b"landbridge.network.daemon"}
    return [pid for pid, line in command_lines() if wanted <= set(line.split(b"\0"))]


def test_it_ends_cleanly_and_one_service_works_on_a_folder(serve: Serve, tmp_path: Path) -> None:
    running = serve(tmp_path)
    other = subprocess.run(
        [sys.executable, "-m", "landbridge.cli", "serve", "--state", tmp_path, "--listen",
         "127.0.0.1:0"],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (other.returncode, other.stdout) == (1, "")
    assert "[serve.running]" in other.stderr
    assert running.end() == 0
    assert running.process.stdout is not None
    assert serve(tmp_path).end() == 0


def test_work_that_hears_nothing_is_cut_off(tmp_path: Path) -> None:
    script = """
import sys, threading
from pathlib import Path
from landbridge.api import serving
from landbridge.beside import beside
from landbridge.cloud import Cloud

serving._LAST_WORK = 1.0
serving.serve(
    Cloud.open(Path(sys.argv[1])), "127.0.0.1:0", None, lambda url: print(url, flush=True),
    beside("deaf", lambda stop: threading.Event().wait()), lambda service, ends: (),
)
"""
    deaf = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert deaf.stdout is not None and deaf.stdout.readline().startswith("http://")
        begun = time.monotonic()
        deaf.terminate()
        assert deaf.wait(15) == 0
        assert time.monotonic() - begun >= 1
    finally:
        deaf.kill()
        _, said = deaf.communicate()
    assert "Traceback" not in said
    Cloud.open(tmp_path).close()


@pytest.mark.parametrize(
    ("options", "code", "id"),
    [
        (("--listen", "nowhere"), 2, "serve.listen"),
        (("--listen", "127.0.0.1:99999"), 2, "serve.listen"),
        (("--listen", "192.0.2.1:1"), 1, "serve.address"),
        (("--tls-cert", "x"), 2, "serve.tls"),
        (("--tls-cert", "x", "--tls-key", "y"), 2, "serve.tls"),
        (("--proxy", "nowhere"), 2, "serve.proxy"),
    ],
)
def test_what_cannot_be_served_is_said(
    cli: Cli, tmp_path: Path, options: tuple[str, ...], code: int, id: str
) -> None:
    called = cli("serve", "--state", tmp_path / "new", *options)
    assert called.code == code
    assert f"[{id}]" in called.err
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: the servers are of the same account")
def test_a_folder_that_is_closed_to_the_servers_is_said(cli: Cli, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    called = cli("serve", "--state", tmp_path / "new")
    assert called.code == 2 and "[serve.closed_folder]" in called.err
    assert not (tmp_path / "new").exists()


def test_a_port_that_is_taken_is_said_before_anything_is_made(cli: Cli, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        called = cli("serve", "--state", tmp_path / "new", "--listen", address)
    assert called.code == 1 and "[serve.address]" in called.err
    assert not (tmp_path / "new").exists()


def test_behind_a_proxy_the_console_knows_its_name_who_asks_and_that_it_is_tls(
    serve: Serve, tmp_path: Path
) -> None:
    running = serve(tmp_path, "--console-name", "DB.example", "--proxy", "127.0.0.1")
    ann, surfer = member(running, "ann"), Surfer(running.endpoint)
    through = {"X-Forwarded-For": "192.0.2.66, 192.0.2.7", "X-Forwarded-Proto": "https"}
    given = {"account": ann.account, "user": ann.user, "password": PASSWORD}
    come_in = urlencode(given)
    named = surfer.ask("POST", "/console/sign-in", come_in, {"Host": "db.example", **through})
    assert named.status == 303 and "; Secure" in named.headers["Set-Cookie"]
    assert named.headers["Strict-Transport-Security"].startswith("max-age=")
    assert running.trail(ann.tenant)[0]["source"] == "192.0.2.7 (ann)"
    surfer.ask("GET", "/console/", headers=through)
    made = surfer.send("/console/cen/create", {"Name": "said"}, X_Forwarded_Proto="https")
    assert made.status == 303 and "; Secure" in made.headers["Set-Cookie"]
    assert "Strict-Transport-Security" not in made.headers  # of an address
    plain = Surfer(running.endpoint, source="127.0.0.9")  # no proxy of ours
    reply = plain.ask("POST", "/console/sign-in", come_in, {"Host": "db.example", **through})
    assert reply.status == 303 and "; Secure" not in reply.headers["Set-Cookie"]
    assert "Strict-Transport-Security" not in reply.headers
    assert running.trail(ann.tenant)[0]["source"] == "127.0.0.9 (ann)"


def test_the_vendors_sdk_talks_tls(serve: Serve, tmp_path: Path) -> None:
    certificate, key = _certificate(tmp_path)
    running = serve(tmp_path, "--tls-cert", str(certificate), "--tls-key", str(key))
    assert running.url.startswith("https://")
    ann = running.tenant("ann")
    body = ann.sts(protocol="https", ca=str(certificate)).get_caller_identity().body
    assert body.account_id == str(ann.uid)


def test_rpc_signs_with_a_key_from_the_environment_or_a_private_file(
    cli: Cli, tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = ("--endpoint", tenant.endpoint, "--json")
    assert cli("rpc", "sts", "GetCallerIdentity", *here).object["error"]["id"] == "rpc.credentials"

    file = tmp_path / "key.json"
    file.write_text(json.dumps({"access_key": {"id": tenant.key_id, "secret": tenant.secret}}))
    file.chmod(0o644)
    named = ("--credentials", file, *here)
    assert cli("rpc", "sts", "GetCallerIdentity", *named).object["error"]["id"] == "rpc.credentials"
    file.chmod(0o600)
    assert cli("rpc", "sts", "GetCallerIdentity", *named).object["AccountId"] == str(tenant.uid)

    monkeypatch.setenv("LANDBRIDGE_ACCESS_KEY_ID", tenant.key_id)
    monkeypatch.setenv("LANDBRIDGE_ACCESS_KEY_SECRET", tenant.secret)
    block = tmp_path / "block"
    block.write_text("10.7.0.0/16\n")
    words = ("RegionId=cn-hangzhou", f"CidrBlock=@{block}", "VpcName=ä &=+")
    made = cli("rpc", "vpc", "CreateVpc", *words, *here).object
    for method in ("GET", "POST"):
        found = cli(
            "rpc", "2016-04-28", "DescribeVpcs", "RegionId=cn-hangzhou", "VpcName=ä &=+",
            "--method", method, *here,
        ).object  # fmt: skip
        assert [row["VpcId"] for row in found["Vpcs"]["Vpc"]] == [made["VpcId"]]
        assert found["Vpcs"]["Vpc"][0]["CidrBlock"] == "10.7.0.0/16"
    assert ":ram::" in cli("rpc", "sts", "GetCallerIdentity", "--endpoint", tenant.endpoint).out
    assert tenant.secret not in cli.said


def test_rpc_says_what_was_refused_and_why_nothing_was_sent(
    cli: Cli, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANDBRIDGE_ACCESS_KEY_ID", tenant.key_id)
    monkeypatch.setenv("LANDBRIDGE_ACCESS_KEY_SECRET", tenant.secret)
    for words, code, id in (
        (("vpc", "DescribeVpcs"), 1, "MissingParameter"),
        (("vpc", "Nonsense"), 1, "InvalidAction.NotFound"),
        (("nix", "DescribeVpcs"), 2, "usage"),
        (("vpc", "DescribeVpcs", "RegionId"), 2, "usage"),
        (("vpc", "DescribeVpcs", "RegionId=@/no/such"), 2, "usage"),
        (("vpc", "DescribeVpcs", "--endpoint", "127.0.0.1:1"), 1, "rpc.failed"),
        (("vpc", "DescribeVpcs", "--endpoint", "http://x/path"), 2, "rpc.endpoint"),
    ):
        here = () if "--endpoint" in words else ("--endpoint", tenant.endpoint)
        called = cli("rpc", *words, *here, "--json")
        assert (called.code, called.object["error"]["id"]) == (code, id), words


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "cert.pem", folder / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files
