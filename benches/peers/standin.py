"""FastAPI and PostgreSQL, as a stand-in for AutoGPT Platform's own stack: see standin_app.py for what it does."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from contextlib import ExitStack
from pathlib import Path

from load import Ask, Once
from processes import Server, free_port
from side import OTHERS, Row, Side, key_text

HERE = Path(__file__).resolve().parent


def start(stack: ExitStack, folder: Path, python: Path, postgresql: Path) -> Side:
    # PostgreSQL refuses to run as root, and its user may not get into our folder. What is measured here only reads.
    home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="strongroom-peers-")))
    becomes = []
    if os.geteuid() == 0:
        shutil.chown(home, "postgres", "postgres")
        becomes = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(home)}

    def run(*command: str, given: str | None = None) -> None:
        done = subprocess.run(
            [*becomes, postgresql / command[0], *command[1:]],
            input=given,
            cwd=home,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]}: {done.stderr}")

    run("initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", f"--pgdata={home}/data")
    command = [*becomes, str(postgresql / "postgres"), "-D", f"{home}/data", "-k", str(home), "-c", "listen_addresses="]
    database = Server(command, folder / "postgresql.log", home, env, stop=signal.SIGINT)
    stack.enter_context(database)
    psql = ("psql", f"--host={home}", "--username=postgres", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1")
    database.wait_until(lambda: (home / ".s.PGSQL.5432").exists() and _is_up(lambda: run(*psql, "--command=select 1")))

    fernet_key, key = _made_by(python, "print(Fernet.generate_key().decode())"), key_text()
    run(*psql, given=_rows(python, fernet_key, key))

    url = f"http://127.0.0.1:{free_port()}"
    command = [str(python), "-m", "uvicorn", "standin_app:app", "--workers=2", f"--port={url.rsplit(':')[-1]}"]
    command += ["--loop=uvloop", "--http=httptools", "--no-access-log", "--log-level=warning"]
    own = env | {"STANDIN_FERNET_KEY": fernet_key, "STANDIN_POSTGRESQL": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    workers = Server(command, folder / "uvicorn.log", HERE, own)
    stack.enter_context(workers)
    mine, path = {"X-API-Key": key}, "/api/integrations/credentials"
    workers.wait_until(lambda: Once(url, mine)("GET", path))
    found = Once(url, mine)("GET", path)
    assert len(found) == 5, f"alice has five, not {len(found)}"
    version = subprocess.run([postgresql / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    return Side(
        name="FastAPI, PostgreSQL",
        settings="uvicorn with 2 workers (uvloop, httptools, no access log), asyncpg with 8 connections each on a Unix "
        f"socket, PostgreSQL {version.split()[2]} with its defaults",
        servers=[database, workers],
        rows=[Row("list of 5", Ask(url, (path,), headers=mine), ("list of 5",))],
    )


def _rows(python: Path, fernet_key: str, key: str) -> str:
    """Users with five credentials each, and a key each; alice's is `key`."""
    users = ["alice"] + [f"other-{number}" for number in range(OTHERS)]
    blobs = [json.dumps({"credentials": [_credential() for _ in range(5)], "oauth_states": []}) for _ in users]
    seal = "import json, sys\nseal = Fernet(sys.argv[1]).encrypt\n"
    seal += "print(json.dumps([seal(blob.encode()).decode() for blob in json.load(sys.stdin)]))"
    sealed = json.loads(_made_by(python, seal, fernet_key, given=json.dumps(blobs)))
    lines = [
        "create table platform_user (id text primary key, integrations text not null);",
        "create table api_key (id text primary key, hash bytea not null unique,"
        " user_id text not null references platform_user, permissions text[] not null);",
    ]
    for user, blob in zip(users, sealed, strict=True):
        digest = hashlib.sha256((key if user == "alice" else key_text()).encode()).hexdigest()
        lines.append(f"insert into platform_user values ('{user}', '{blob}');")
        lines.append(
            f"insert into api_key values ('{uuid.uuid4()}', '\\x{digest}', '{user}', '{{READ_INTEGRATIONS}}');"
        )
    return "\n".join([*lines, "vacuum analyze;"])


def _credential() -> dict:
    return {
        "id": str(uuid.uuid4()),
        "provider": "github",
        "type": "oauth2",
        "title": "Octo Cat",
        "username": "octocat",
        "access_token": key_text(),
        "refresh_token": key_text(),
        "access_token_expires_at": 1893456000,
        "scopes": ["repo", "read:user"],
        "metadata": {},
    }


def _made_by(python: Path, code: str, *arguments: str, given: str | None = None) -> str:
    code = f"from cryptography.fernet import Fernet\n{code}"
    done = subprocess.run([python, "-c", code, *arguments], input=given, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _is_up(asked) -> bool:
    try:
        asked()
    except RuntimeError:
        return False
    return True
