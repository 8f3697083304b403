"""The file with which a class joins a lab: its addresses, and the secrets of those who may join.

The file of the teacher has all secrets, that of a student only the student's. Whoever reads a secret can act
as its owner, so that files are readable by their owner only (mode 0600).
"""

from __future__ import annotations

import atexit
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plivo_nb.addresses import is_loopback_url
from plivo_nb.atomic_file import replaced
from plivo_nb.errors import LabError

if TYPE_CHECKING:
    from plivo_nb.options import OptionKeywords

KIND = "plivo_nb class"
VERSION = 1
_MODE = 0o600
_LARGEST_BYTES = 4 << 20
_ADDRESSES = ("url", "control", "stats", "insights")


@dataclass(frozen=True, slots=True)
class StudentSecrets:
    """The secrets of one student.

    Attributes:
        password: of the SIP account.
        token: of the control channel.
    """

    password: str = field(repr=False)
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClassFile:
    """What the file says. Its repr shows no secret.

    Attributes:
        addresses: of the lab: ``url``, ``urls``, ``control``, ``stats``, ``insights``.
        teacher: the teacher's token; None in the file of a student.
        students: secrets by user name.
        authority: certificates of the authority of the lab's servers, in PEM; None: they are not encrypted.
    """

    addresses: dict[str, Any]
    teacher: str | None = field(default=None, repr=False)
    students: dict[str, StudentSecrets] = field(default_factory=dict, repr=False)
    authority: str | None = field(default=None, repr=False)

    def of_student(self, user: str) -> ClassFile:
        """The same with the secrets of one student only.

        Raises:
            LabError: there is no such student.
        """
        if user not in self.students:
            known = ", ".join(list(self.students)[:10])
            raise LabError(f"The class has no student {user!r}; it has {known}.")
        return ClassFile(self.addresses, None, {user: self.students[user]}, self.authority)

    def write(self, path: Path) -> None:
        """Write the file, readable by its owner only; an existing one is replaced as a whole.

        Raises:
            OSError: it cannot be written.
        """
        content = {
            "kind": KIND,
            "version": VERSION,
            "addresses": self.addresses,
            "caFile": self.authority,
            "teacher": self.teacher,
            "students": {
                user: {"password": secrets.password, "token": secrets.token}
                for user, secrets in self.students.items()
            },
        }
        with replaced(path) as new:
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(content, file, indent=1)
        os.chmod(path, _MODE)  # one that was there may have been readable by others

    @classmethod
    def read(cls, path: Path) -> ClassFile:
        """Read a file.

        Raises:
            LabError: it cannot be read, or is no such file.
        """
        try:
            with path.open("rb") as file:
                data = file.read(_LARGEST_BYTES)
        except OSError as error:
            raise LabError(
                f"{path} cannot be read ({error.strerror}); ask the teacher for a class file."
            ) from error
        try:
            content = json.loads(data)
            if content["kind"] != KIND or content["version"] != VERSION:
                raise ValueError
            addresses = {name: str(content["addresses"][name]) for name in _ADDRESSES}
            urls = [str(url) for url in content["addresses"]["urls"]]
            teacher, authority = content["teacher"], content.get("caFile")
            return cls(
                {**addresses, "urls": urls},
                None if teacher is None else str(teacher),
                {
                    str(user): StudentSecrets(str(secrets["password"]), str(secrets["token"]))
                    for user, secrets in content["students"].items()
                },
                None if authority is None else str(authority),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise LabError(
                f"{path} is no class file of this version; the teacher writes one with lab.share(PATH)."
            ) from None


def client_options(addresses: dict[str, Any], ca_file: str | None) -> OptionKeywords:
    """The options of a client of a lab.

    Args:
        addresses: of the lab, see `ClassFile.addresses`.
        ca_file: PEM file with the authority of its servers; None: they are not encrypted.
    """
    options: OptionKeywords = {
        "registrationDomainSocket": list(addresses["urls"]),
        "loopbackCandidates": is_loopback_url(addresses["url"]),
        "iceServers": [],
        "statsUrl": addresses["stats"],
        "insightsUrl": addresses["insights"],
        "sound": "none",
    }
    if ca_file is not None:
        options["caFile"] = ca_file
    return options


def kept_until_exit(authority: str) -> str:
    """The path of a file with this text. Clients read it at each reconnection, also after `Lab.close`."""
    descriptor, path = tempfile.mkstemp(prefix="plivo-nb-", suffix=".pem")
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(authority)
    atexit.register(Path(path).unlink, missing_ok=True)
    return path
