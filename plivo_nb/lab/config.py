"""The settings of a lab: plain values that are passed to its subprocess as JSON."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

DOMAIN = "phone.plivo.com"
HOST = "127.0.0.1"  # where a lab listens if nothing else is asked for
FIRST_USERS = ("alice", "bob", "carol")
MAX_ACCOUNTS = 1000
MAX_WORKERS = 16


@dataclass(frozen=True, slots=True)
class LabConfig:
    """The settings of a lab.

    Args:
        port: the port of the SIP WebSocket (0 = any free port).
        accounts: user names and their passwords.
        seed: the seed of everything random in the network.
        robots: whether there are robots to call.
        workers: how many processes the robots have of their own; 0 = they are in the lab's process.
        servers: the number of addresses of the switch.
        scenario: the name or CSV file of a network scenario to play in a loop.
        student_tokens: with which students join the control channel, by user name.
        host: the address, or the name, at which the lab listens; loopback unless there is a certificate.
        certificate: PEM file with the certificate of the servers.
        key: PEM file with its key; None = it is in the file of the certificate.
        ca: PEM file with the authority that signed it; None = the certificate itself.

    Raises:
        ValueError: there are too many workers.
    """

    port: int = 0
    accounts: Mapping[str, str] = field(default_factory=lambda: accounts_of(None), repr=False)
    seed: int = 1
    robots: bool = True
    workers: int = 0
    servers: int = 1
    scenario: str | None = None
    student_tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    host: str = HOST
    certificate: str | None = None
    key: str | None = None
    ca: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.workers <= MAX_WORKERS:
            raise ValueError(f"A lab has 0 to {MAX_WORKERS} workers, not {self.workers}.")

    @property
    def ca_file(self) -> str | None:
        """The PEM file with what a client has to trust; None: the servers are not encrypted."""
        return self.ca or self.certificate

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values; ``LabConfig(**values)`` restores them."""
        accounts, tokens = dict(self.accounts), dict(self.student_tokens)
        return {**asdict(self), "accounts": accounts, "student_tokens": tokens}


def accounts_of(
    accounts: int | Sequence[str] | Mapping[str, str] | None, *, random_passwords: bool = False
) -> dict[str, str]:
    """Make accounts. The default password of an account is ``NAME-secret``; it is valid in the lab only.

    Args:
        accounts: the number of accounts (alice, bob, carol, user4, ...), or their names, or names with
            passwords.
        random_passwords: make passwords that nobody can guess.

    Raises:
        ValueError: there are too many accounts or none, or a user name is invalid.

    Example:
        >>> accounts_of(2)
        {'alice': 'alice-secret', 'bob': 'bob-secret'}
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
        accounts = {
            name: secrets.token_urlsafe(12) if random_passwords else f"{name}-secret" for name in accounts
        }
    for name in accounts:
        if not name or not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
            raise ValueError(f"{name!r} is not a valid user name: use letters, digits, '-' and '_'.")
    return dict(accounts)
