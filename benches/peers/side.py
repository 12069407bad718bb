"""What one side of the comparison brings: servers, how to ask them, and what is to be seen of them."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from load import Ask
from processes import Server

# In every store: alice's five, which are asked for, and five for each of so many others.
OTHERS = 199


def key_text() -> str:
    """Forty characters, as the API keys and tokens of providers are."""
    return secrets.token_hex(20)


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    name: str
    ask: Ask
    against: tuple[str, ...] = ()  # names of Strongroom's rows that do the same
    connections: tuple[int, ...] = (64, 16, 1)


@dataclass
class Side:
    """A product in one setting, running."""

    name: str
    settings: str
    servers: list[Server]
    rows: list[Row]
    # A single write each, for counting the syncs of the disk.
    writes: dict[str, Callable[[], object]] = field(default_factory=dict)
    # Looks once more, after all the load, whether it still is in its setting.
    still_so: Callable[[], None] = lambda: None
    idle: float = 0.0
    idle_anonymous: float = 0.0
    loaded: float = 0.0
