"""OpenBao: a server of one node on integrated storage (raft), its KV engine of version 2, a token with one policy."""

import json
import subprocess
from contextlib import ExitStack
from pathlib import Path

from load import Ask, Once, fill
from processes import Server, free_port
from side import OTHERS, Row, Side, key_text

POLICY = 'path "secret/data/*" { capabilities = ["create", "update", "read"] }'


def start(stack: ExitStack, folder: Path, binary: Path, audited: bool) -> Side:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    audit = f'audit "file" "file" {{ options {{ file_path = "{folder}/audit.log" }} }}\n' if audited else ""
    (folder / "data").mkdir()
    (folder / "openbao.hcl").write_text(
        f'storage "raft" {{ path = "{folder}/data" node_id = "one" }}\n'
        f'listener "tcp" {{ address = "127.0.0.1:{port}" tls_disable = true }}\n'
        f'api_addr = "{url}"\ncluster_addr = "http://127.0.0.1:{free_port()}"\n{audit}'
    )
    server = Server([str(binary), "server", "-config=openbao.hcl"], folder / "server.log", folder)
    stack.enter_context(server)
    server.wait_until(lambda: Once(url)("GET", "/v1/sys/seal-status"))
    ask = Once(url)
    made = ask("PUT", "/v1/sys/init", {"secret_shares": 1, "secret_threshold": 1})
    ask("PUT", "/v1/sys/unseal", {"key": made["keys"][0]})
    root = {"X-Vault-Token": made["root_token"]}
    server.wait_until(lambda: _is(lambda: Once(url)("GET", "/v1/sys/health")))
    ask("POST", "/v1/sys/mounts/secret", {"type": "kv", "options": {"version": "2"}}, root)
    ask("PUT", "/v1/sys/policies/acl/bench", {"policy": POLICY}, root)
    made = ask("POST", "/v1/auth/token/create", {"policies": ["bench"], "no_default_policy": True}, root)
    token = {"X-Vault-Token": made["auth"]["client_token"]}

    def store(path: str) -> object:
        secret = {"title": "Octo Cat", "access_token": key_text(), "refresh_token": key_text()}
        return ask("POST", f"/v1/secret/data/{path}", {"data": secret}, token)

    # A new KV engine answers 400 for a moment, while it looks for something to upgrade.
    server.wait_until(lambda: _is(lambda: store("alice/0")))
    each = [f"alice/{number}" for number in range(5)]
    fill(store, each + [f"other-{user}/{number}" for user in range(OTHERS) for number in range(5)])

    on = "audit to a file" if audited else "audit off"
    version = subprocess.run([binary, "version"], capture_output=True, text=True, check=True).stdout.split(" (")[0]
    new = json.dumps({"data": {"title": "bench", "api_key": key_text()}})
    read = Ask(url, tuple(f"/v1/secret/data/{path}" for path in each), headers=token)
    write = Ask(url, ("/v1/secret/data/new/",), "POST", token, new, fresh=True)
    reads = ("live token, audited, on disk",) if audited else ("list of 5", "single GET")
    return Side(
        name=f"OpenBao, {on}",
        settings=f"{version}, raft storage of one node, KV version 2, service token with one policy, no TLS, {on}",
        servers=[server],
        rows=[
            Row(f"GET a secret, {on}", read, reads),
            Row(f"POST a new secret, {on}", write, ("create, audited, on disk",)),
        ],
        writes={
            "POST a secret": lambda: store("counted"),
            "GET a secret": lambda: ask("GET", f"/v1/secret/data/{each[0]}", headers=token),
        },
    )


def _is(asked) -> bool:
    try:
        asked()
    except RuntimeError:
        return False
    return True
