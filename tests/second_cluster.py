"""A Flink cluster that is not this checkout's: its own folder, its own virtual environment, REST over https with
certificates on both sides, and an ingress with a path and a password before it."""

import contextlib
import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import uvicorn
import yaml
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import (
    PKCS12Certificate,
    serialize_java_truststore,
    serialize_key_and_certificates,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deploy.local.jars import CONNECTOR
from operators.settings import JobSettings
from pipelines.submission.cluster import Cluster
from tests.certificates import Authority, elliptic
from tests.places import ROOT

REST_PORT, RPC_PORT, INGRESS_PORT = 18443, 16133, 18444
PASSWORD = "of-the-stores"
USER, SECRET, PREFIX = "shop", "p@ss word", "/team/flink"


@dataclass
class SecondCluster:
    """What a submitter needs to know of it, and its processes."""

    folder: Path
    rest_url: str
    ca_file: Path
    cert_file: Path
    processes: list["subprocess.Popen[bytes]"]

    @property
    def variables(self) -> dict[str, str]:
        """The submitter's settings."""
        return {
            "LIVESHELF_JOB__REST_URL": self.rest_url,
            "LIVESHELF_JOB__REST_CA_FILE": str(self.ca_file),
            "LIVESHELF_JOB__REST_CERT_FILE": str(self.cert_file),
        }

    @property
    def job_settings(self) -> JobSettings:
        """The same for a client in this process."""
        return JobSettings(rest_url=self.rest_url, rest_ca_file=str(self.ca_file), rest_cert_file=str(self.cert_file))


def make_environment(folder: Path) -> Path:
    """A virtual environment with the committed requirements, as the operators of a cluster would make it; its Python."""
    venv, lock = folder / "venv", ROOT / "requirements" / "base.lock"
    uv = [sys.executable, "-m", "uv"]
    base = str(Path(sys.executable).resolve())
    subprocess.run([*uv, "venv", "-q", "--python", base, str(venv)], check=True)
    python = venv / "bin" / "python3"
    install = ["pip", "install", "-q", "--python", str(python), "--require-hashes", "-r", str(lock)]
    subprocess.run([*uv, *install], check=True)
    return python


@contextlib.contextmanager
def second_cluster(folder: Path, jars: Path) -> Iterator[SecondCluster]:
    """One JobManager and one TaskManager; ended by their pids."""
    python = make_environment(folder)
    authority = Authority("second cluster")
    home, environment = _home(folder, python, jars, authority)
    processes = [
        subprocess.Popen(
            [f"{home}/bin/{part}.sh", "start-foreground"],
            env=environment | {"FLINK_IDENT_STRING": part},
            cwd=folder,
            stdout=(folder / f"{part}.out").open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        for part in ("jobmanager", "taskmanager")
    ]
    cluster = SecondCluster(
        folder,
        f"https://127.0.0.1:{REST_PORT}",
        authority.write_ca(folder / "ca.pem"),
        authority.write_pem("submitter", folder / "submitter.pem"),
        processes,
    )
    try:
        _wait(cluster)
        with _ingress(cluster, authority.write_pem("ingress", folder / "ingress.pem", elliptic)):
            yield cluster
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _home(folder: Path, python: Path, jars: Path, authority: Authority) -> tuple[Path, dict[str, str]]:
    """A Flink home from the other environment's wheel, and the environment of its processes: nothing of ours."""
    (packages,) = python.parent.parent.glob("lib/python3.*/site-packages")
    wheel, home = packages / "pyflink", folder / "flink"
    for name in ("conf", "plugins", "logs", "checkpoints", "savepoints", "tmp"):
        (home / name).mkdir(parents=True, mode=0o700)
    shutil.copytree(wheel / "lib", home / "lib")
    (home / "bin").symlink_to(wheel / "bin")
    for jar in (*wheel.glob("opt/flink-python-*.jar"), jars / CONNECTOR):
        shutil.copy(jar, home / "lib")
    for file in (wheel / "conf").glob("log4j*"):
        shutil.copy(file, home / "conf")
    stock = yaml.safe_load((wheel / "conf" / "config.yaml").read_text())
    options = {
        "env.java.opts.all": stock["env"]["java"]["opts"]["all"],
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.rpc.port": RPC_PORT,
        "jobmanager.bind-host": "127.0.0.1",
        "jobmanager.memory.process.size": "1024m",
        "taskmanager.host": "127.0.0.1",
        "taskmanager.bind-host": "127.0.0.1",
        "taskmanager.memory.process.size": "1600m",
        "taskmanager.memory.managed.size": "128m",
        "taskmanager.numberOfTaskSlots": 1,
        "rest.address": "127.0.0.1",
        "rest.bind-address": "127.0.0.1",
        "rest.port": REST_PORT,
        "rest.bind-port": REST_PORT,
        "execution.checkpointing.dir": f"file://{home}/checkpoints",
        "execution.checkpointing.savepoint-dir": f"file://{home}/savepoints",
        "io.tmp.dirs": f"{home}/tmp",
        **_https(folder, authority),
    }
    (home / "conf" / "config.yaml").write_text(yaml.safe_dump(options, width=10_000))
    return home, {
        "HOME": str(folder),
        "TMPDIR": str(home / "tmp"),
        "PATH": f"{python.parent}:/usr/bin:/bin",
        "PYTHONPATH": str(packages),
        "FLINK_CONF_DIR": str(home / "conf"),
        "FLINK_LIB_DIR": str(home / "lib"),
        "FLINK_PLUGINS_DIR": str(home / "plugins"),
        "FLINK_LOG_DIR": str(home / "logs"),
        "FLINK_PID_DIR": str(home / "tmp"),
    }


def _https(folder: Path, authority: Authority) -> dict[str, object]:
    lock = BestAvailableEncryption(PASSWORD.encode())
    key, certificate = authority.issue("flink")
    stores = {
        "keystore": serialize_key_and_certificates(b"flink", key, certificate, None, lock),
        "truststore": serialize_java_truststore([PKCS12Certificate(authority.certificate, None)], lock),
    }
    options: dict[str, object] = {
        "security.ssl.rest.enabled": True,
        "security.ssl.rest.authentication-enabled": True,
        "security.ssl.rest.key-password": PASSWORD,
    }
    for name, content in stores.items():
        (folder / f"{name}.p12").write_bytes(content)
        key_of = f"security.ssl.rest.{name}"
        options |= {key_of: f"{folder}/{name}.p12", f"{key_of}-type": "PKCS12", f"{key_of}-password": PASSWORD}
    return options


def _wait(cluster: SecondCluster, seconds: float = 120) -> None:
    client, deadline = Cluster(cluster.job_settings), time.monotonic() + seconds
    while True:
        try:
            if client.get("/overview")["taskmanagers"] == 1:
                return
        except Exception:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.5)


@contextlib.contextmanager
def _ingress(cluster: SecondCluster, pem: Path) -> Iterator[None]:
    """https on another port: asks for a password, takes a prefix off, and passes on with a certificate of its own."""
    context = ssl.create_default_context(cafile=cluster.ca_file)
    context.load_cert_chain(pem)
    wanted = "Basic " + b64encode(f"{USER}:{SECRET}".encode()).decode()

    async def pass_on(request: Request) -> Response:
        if request.headers.get("authorization") != wanted:
            return Response("who are you?", 401)
        path = request.path_params["path"] + (f"?{request.url.query}" if request.url.query else "")
        kept = {name: value for name, value in request.headers.items() if name in ("content-type", "accept")}
        async with httpx.AsyncClient(verify=context, timeout=60, trust_env=False) as behind:
            url = f"{cluster.rest_url}/{path}"
            answer = await behind.request(request.method, url, content=await request.body(), headers=kept)
        return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

    verbs = ["GET", "POST", "PATCH", "DELETE"]
    app = Starlette(routes=[Route(f"{PREFIX}/{{path:path}}", pass_on, methods=verbs)])
    config = uvicorn.Config(
        app,
        "127.0.0.1",
        INGRESS_PORT,
        ssl_certfile=pem,
        log_level="warning",
        lifespan="off",  # the key is in it too
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.05)
        yield
    finally:
        server.should_exit = True
        thread.join(10)
