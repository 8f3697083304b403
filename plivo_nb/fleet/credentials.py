"""Passwords of accounts, on the worker that needs them: they are in no plan, no graph and no result.

A worker reads them from a file that only its owner can read, or from its environment.
"""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from plivo_nb.errors import PlivoError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The password of the account ``ann-1`` is in the variable ``PLIVO_NB_PASSWORD_ANN_1``.
VARIABLE = "PLIVO_NB_PASSWORD_"
_NOT_IN_VARIABLES = re.compile(r"[^A-Z0-9]")
_READABLE_BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class CredentialsError(PlivoError):
    """A worker has no password for an account; the message says where it looked."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where the passwords are. Its repr shows none.

    Args:
        path: a JSON file on the worker, ``{"ann": "secret", ...}``, that only its owner can read (mode 0600);
            None: the environment.
        given: passwords by account, for workers that are reached over TLS only.

    Example:
        >>> Credentials(given={"ann": "wonderland"})
        Credentials(path=None)
        >>> Credentials(given={"ann": "wonderland"}).password("ann")
        'wonderland'
    """

    path: str | None = None
    given: Mapping[str, str] = field(default_factory=dict, repr=False)

    def password(self, account: str) -> str:
        """The password of an account.

        Raises:
            CredentialsError: there is none, or others can read the file.
        """
        if account in self.given:
            return self.given[account]
        if self.path is not None:
            return self._from_file(Path(self.path), account)
        name = variable_of(account)
        password = os.environ.get(name)
        if not password:
            raise CredentialsError(
                f"The worker has no password for {account}: set {name} in its environment, or give "
                "credentials=, the path of a file on it."
            )
        return password

    @staticmethod
    def _from_file(path: Path, account: str) -> str:
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                content = file.read()
        except OSError as error:
            raise CredentialsError(f"The worker cannot read {path} ({error.strerror}).") from None
        if os.name == "posix" and mode & _READABLE_BY_OTHERS:
            raise CredentialsError(f"Others can read {path}, which has passwords: chmod 600 it.")
        try:
            password = json.loads(content).get(account)
        except (ValueError, AttributeError):
            raise CredentialsError(f'{path} is no file of passwords such as {{"ann": "..."}}.') from None
        if not isinstance(password, str) or not password:
            raise CredentialsError(f"{path} has no password for {account}.")
        return password


def variable_of(account: str) -> str:
    """The name of the environment variable with an account's password.

    Example:
        >>> variable_of("ann-1")
        'PLIVO_NB_PASSWORD_ANN_1'
    """
    return VARIABLE + _NOT_IN_VARIABLES.sub("_", account.upper())
