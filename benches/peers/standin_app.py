"""The least that AutoGPT Platform's own stack does for a list of credentials: FastAPI over PostgreSQL.

A generous stand-in. The API key is found by its SHA-256 in one indexed query (the original looks for its first
characters and then computes scrypt); the user's row has all integrations in one Fernet-encrypted JSON, as it has in the
original; both are fetched by prepared statements on kept connections (the original goes through Prisma); there is no
logging, no metrics and no middleware.
"""

import hashlib
import json
import os
from contextlib import asynccontextmanager
from typing import Annotated

import asyncpg
from cryptography.fernet import Fernet
from fastapi import FastAPI, HTTPException, Request, Security
from fastapi.security import APIKeyHeader
from pydantic import BaseModel

FERNET = Fernet(os.environ["STANDIN_FERNET_KEY"])


class Summary(BaseModel):
    """What is told of a credential, as in the original's answer."""

    id: str
    provider: str
    type: str
    title: str | None
    scopes: list[str] | None
    username: str | None
    host: str | None


@asynccontextmanager
async def lifespan(app: FastAPI):
    """Connections of this worker; asyncpg keeps the statements on them prepared."""
    folder = os.environ["STANDIN_POSTGRESQL"]
    async with asyncpg.create_pool(host=folder, user="postgres", database="postgres", min_size=8, max_size=8) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


async def caller(request: Request, key: Annotated[str, Security(APIKeyHeader(name="X-API-Key"))]) -> str:
    """The user whose key it is."""
    digest = hashlib.sha256(key.encode()).digest()
    found = await request.app.state.pool.fetchrow("select user_id, permissions from api_key where hash = $1", digest)
    if found is None or "READ_INTEGRATIONS" not in found["permissions"]:
        raise HTTPException(401)
    return found["user_id"]


@app.get("/api/integrations/credentials")
async def credentials(request: Request, user: Annotated[str, Security(caller)]) -> list[Summary]:
    """The user's credentials without their secrets."""
    sealed = await request.app.state.pool.fetchval("select integrations from platform_user where id = $1", user)
    stored = json.loads(FERNET.decrypt(sealed))["credentials"]
    return [
        Summary(
            id=one["id"],
            provider=one["provider"],
            type=one["type"],
            title=one["title"],
            scopes=one.get("scopes"),
            username=one.get("username"),
            host=one.get("host"),
        )
        for one in stored
    ]
