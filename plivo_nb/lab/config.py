"""How a lab is set up: plain values that cross to its subprocess as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

DOMAIN = "phone.plivo.com"
FIRST_USERS = ("alice", "bob", "carol")
MAX_ACCOUNTS = 1000


@dataclass(frozen=True, slots=True)
class LabConfig:
    """What a lab is started with.

    Args:
        port: of the SIP WebSocket on 127.0.0.1; 0: a free one.
        accounts: user names and their passwords.
        seed: everything random in the network is drawn from it.
        robots: whether there are robots to call.
        servers: how many addresses the switch has, to fail over between.
        scenario: name of a network scenario to begin with.
    """

    port: int = 0
    accounts: Mapping[str, str] = field(default_factory=lambda: accounts_of(None), repr=False)
    seed: int = 1
    robots: bool = True
    servers: int = 1
    scenario: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for the subprocess: ``LabConfig(**values)`` is the way back."""
        return {**asdict(self), "accounts": dict(self.accounts)}


def accounts_of(accounts: int | Sequence[str] | Mapping[str, str] | None) -> dict[str, str]:
    """Give every account its password, ``NAME-secret``: they are for the lab only and no secret at all.

    Args:
        accounts: how many (alice, bob, carol, user4, ...), or their names, or names with passwords.

    Raises:
        ValueError: too many, none, or a name that is no user name.
    """
    if accounts is None:
        accounts = len(FIRST_USERS)
    if isinstance(accounts, int):
        if not 1 <= accounts <= MAX_ACCOUNTS:
            raise ValueError(f"A lab has 1 to {MAX_ACCOUNTS} accounts, not {accounts}.")
        accounts = [
            FIRST_USERS[index] if index < len(FIRST_USERS) else f"user{index + 1}"
            for index in range(accounts)
        ]
    if not isinstance(accounts, Mapping):
        accounts = {name: f"{name}-secret" for name in accounts}
    for name in accounts:
        if not name or not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
            raise ValueError(f"{name!r} is no user name: use letters, digits, '-' and '_'.")
    return dict(accounts)
