"""PocketBase: a collection whose records only their owner sees, by its REST API."""

import json
import os
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

from load import Ask, Once, fill
from processes import Server, free_port
from side import OTHERS, Row, Side, key_text

HERE = Path(__file__).resolve().parent
PRAGMA = {"NORMAL": 1, "FULL": 2}
OWN = "owner = @request.auth.id"


def start(stack: ExitStack, folder: Path, binary: Path, synchronous: str) -> Side:
    url = f"http://127.0.0.1:{free_port()}"
    (folder / "hooks").mkdir()
    shutil.copy(HERE / "pocketbase.pb.js", folder / "hooks")
    own = ["--dir=data", "--hooksDir=hooks", "--migrationsDir=migrations", "--publicDir=public", "--hooksWatch=false"]
    root = {"identity": "root@example.com", "password": key_text()}
    subprocess.run([binary, "superuser", "upsert", *root.values(), *own], cwd=folder, check=True, capture_output=True)
    env = os.environ | {"SYNCHRONOUS": synchronous}
    command = [str(binary), "serve", f"--http={url.removeprefix('http://')}", *own]
    server = stack.enter_context(Server(command, folder / "server.log", folder, env))
    server.wait_until(lambda: Once(url)("GET", "/api/health"))
    ask = Once(url)

    def still_so() -> None:
        found = ask("GET", "/synchronous")["synchronous"]
        if found != PRAGMA[synchronous]:
            raise RuntimeError(f"PocketBase writes with synchronous = {found}, not {synchronous}")

    still_so()
    root = {"Authorization": ask("POST", "/api/collections/_superusers/auth-with-password", root)["token"]}
    users = ask("GET", "/api/collections/users", headers=root)["id"]
    texts = [{"name": name, "type": "text"} for name in ("provider", "title", "secret")]
    owner = {"name": "owner", "type": "relation", "collectionId": users, "maxSelect": 1, "required": True}
    collection = {"name": "credentials", "type": "base", "listRule": OWN, "viewRule": OWN, "createRule": OWN}
    collection |= {"fields": [owner, *texts], "indexes": ["create index by_owner on credentials (owner)"]}
    ask("POST", "/api/collections", collection, root)

    def user(name: str, log_in: bool = False) -> tuple[str, dict[str, str]]:
        login = {"identity": f"{name}@example.com", "password": "0123456789"}
        made = {"email": login["identity"], "password": login["password"], "passwordConfirm": login["password"]}
        found = ask("POST", "/api/collections/users/records", made, root)["id"]
        if not log_in:
            return found, root
        return found, {"Authorization": ask("POST", "/api/collections/users/auth-with-password", login)["token"]}

    def record(whose: str) -> dict[str, str]:
        return {"owner": whose, "provider": "github", "title": "Octo Cat", "secret": key_text()}

    records = "/api/collections/credentials/records"
    (alice, as_alice), (writer, as_writer) = user("alice", log_in=True), user("writer", log_in=True)
    each = [ask("POST", records, record(alice), as_alice)["id"] for _ in range(5)]
    # The others' are of one user, for every user costs a bcrypt hash.
    others, _ = user("others")
    fill(lambda whose: ask("POST", records, record(whose), root), [others] * 5 * OTHERS)

    new = json.dumps(record(writer))
    create = Row(
        f"POST a record, {synchronous}",
        Ask(url, (records,), "POST", as_writer | _JSON, new),
        ("create, audited, on disk",),
    )
    reads = [
        Row("list of 5 records", Ask(url, (f"{records}?skipTotal=1",), headers=as_alice), ("list of 5",)),
        Row("GET a record", Ask(url, tuple(f"{records}/{one}" for one in each), headers=as_alice), ("single GET",)),
    ]
    durable = synchronous == "FULL"
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    how = (
        "set by a hook, for it has no setting" if durable else "as it comes: a power cut may take what it acknowledged"
    )
    return Side(
        name=f"PocketBase, {synchronous}",
        settings=f"PocketBase {version}, nothing sealed, nothing audited, synchronous={synchronous} ({how})",
        servers=[server],
        rows=[create] if durable else [*reads, create],
        writes={"POST a record": lambda: ask("POST", records, record(writer), as_writer)},
        still_so=still_so,
    )


_JSON = {"Content-Type": "application/json"}
