"""Strongroom: the release binary on a fresh vault, as `init` sets it up, audit and durability always on."""

import json
import subprocess
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

from load import Ask, Once
from processes import Server, free_port
from side import OTHERS, Row, Side, key_text

PERMISSIONS = ("READ_INTEGRATIONS", "MANAGE_INTEGRATIONS", "USE_INTEGRATIONS")


def start(stack: ExitStack, folder: Path, binary: Path) -> Side:
    def run(*arguments: str) -> str:
        done = subprocess.run(
            [binary, *arguments], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"strongroom {' '.join(arguments)}: {done.stderr or done.stdout}")
        return done.stdout

    def key(user: str) -> dict[str, str]:
        permissions = [part for name in PERMISSIONS for part in ("--permission", name)]
        return {"X-API-Key": json.loads(run("key", "create", "--json", "--user", user, *permissions))["api_key"]}

    url = f"http://127.0.0.1:{free_port()}"
    run("init")
    (folder / "strongroom.toml").write_text(
        f'[server]\nlisten = "{url.removeprefix("http://")}"\n'
        "[limits]\nwaiting_per_key = 100000\nsecrets_burst = 1000000000\n"
        "secrets_per_second = 1000000000\nsecrets_per_second_in_all = 1000000000\n"
        '[vault]\npath = "strongroom.db"\nmaster_key = { file = "strongroom.key" }\n'
    )
    (folder / "accounts.json").write_text(json.dumps(_accounts()))
    run("credential", "import", "accounts.json", "--from", "nango")
    alice, writer = key("alice"), key("writer")
    server = stack.enter_context(Server([str(binary), "serve"], folder / "server.log", folder))
    server.wait_until(lambda: Once(url)("GET", "/readyz") is not None or True)

    v1 = "/v1/integrations"
    ids = [one["id"] for one in Once(url, alice)("GET", f"{v1}/credentials")]
    assert len(ids) == 5, f"alice has five, not {len(ids)}"
    new = json.dumps({"type": "api_key", "api_key": key_text(), "title": "bench"})
    each = [f"{v1}/github/credentials/{one}" for one in ids]
    write = Once(url, writer)
    return Side(
        name="Strongroom",
        settings=f"{run('--version').strip()}, as init sets it up: synchronous=FULL, every record sealed, audit on",
        servers=[server],
        rows=[
            Row("list of 5", Ask(url, (f"{v1}/credentials",), headers=alice)),
            Row("single GET", Ask(url, tuple(each), headers=alice)),
            Row("live token, audited, on disk", Ask(url, tuple(f"{one}/token" for one in each), headers=alice)),
            Row("create, audited, on disk", Ask(url, (f"{v1}/openai/credentials",), "POST", writer, new)),
        ],
        writes={
            "create": lambda: write("POST", f"{v1}/openai/credentials", new),
            "live token": lambda: write("GET", f"{each[0]}/token", headers=alice),
        },
    )


def _accounts() -> list[dict]:
    """Connected accounts whose tokens live for a month yet, as Nango exports them."""
    ends = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    users = ["alice"] * 5 + [f"other-{number}" for number in range(OTHERS) for _ in range(5)]
    return [
        {
            "id": number,
            "connection_id": f"connection-{number}",
            "provider_config_key": "github",
            "provider": "github",
            "end_user": {"id": user},
            "credentials": {
                "type": "OAUTH2",
                "access_token": key_text(),
                "refresh_token": key_text(),
                "expires_at": ends,
                "raw": {"scope": "repo read:user", "token_type": "bearer"},
            },
        }
        for number, user in enumerate(users)
    ]
