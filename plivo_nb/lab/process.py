"""Lab: starts the embedded Plivo as a subprocess and controls it.

async with Lab() as lab:
    client = lab.client()
    await client.login("alice", lab.password("alice"))
    await lab.network.set(loss=0.05, delay_ms=120)
"""

from __future__ import annotations

import logging
import os
import secrets
import time
import weakref
from collections import deque
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from plivo_nb.addresses import is_loopback
from plivo_nb.errors import LabError
from plivo_nb.lab.child import Child
from plivo_nb.lab.class_file import ClassFile, StudentSecrets, client_options, kept_until_exit
from plivo_nb.lab.config import HOST, LabConfig, accounts_of
from plivo_nb.lab.control import ControlClient
from plivo_nb.lab.listening import listening_of
from plivo_nb.lab.network.scenarios import read_scenario
from plivo_nb.lab.remote import RemoteFaults, RemoteNetwork, frame_of
from plivo_nb.operation import Operation
from plivo_nb.options import OptionKeywords, shows_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    import pandas as pd

    from plivo_nb.client import Client
    from plivo_nb.lab.network.scenarios import ScenarioName
    from plivo_nb.lab.robots.roles import RobotNumber

_logger = logging.getLogger("plivo_nb.lab.process")

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 5.0
_KEPT = 20_000
_NOT_RUNNING = "The lab is not running; use `async with Lab() as lab:` or `await lab.start()`."


class Lab:
    """An embedded Plivo in a subprocess: accounts, a SIP switch, robots to call, a configurable network.

    The lab listens on 127.0.0.1 only, unless `host` says otherwise. It ends when this process ends, even if
    this process is killed. Use it with ``async with``, or call `start` and `close`, on a running loop such as
    a notebook's.

    Args:
        accounts: the number of accounts (1 to 1000), or their names, or names with passwords; by default
            alice, bob and carol.
        port: the port of the switch's WebSocket (0 = any free port).
        seed: the seed of everything random in the network; the same seed drops the same packets.
        robots: whether there are robots to call (``echo`` and others, see `Lab.robots`).
        workers: how many processes the robots have of their own, for many calls at the same time: about one
            for 20 calls, as many as there are cores to spare. 0 = they are in the lab's process.
        servers: the number of addresses of the switch; with two, a client can fail over between them.
        scenario: the name of a network scenario, or the path of a CSV file, to play in a loop.
        random_passwords: make passwords that nobody can guess, for a class (`share`); so they are always made
            where other computers reach the lab.
        host: the IPv4 address, or the name, of this computer by which others reach the lab; it needs a
            certificate.
        certificate: PEM file with a TLS certificate for `host`; all connections are encrypted then.
        key: PEM file with its key, without a password; by default it is in the file of the certificate.
        ca: PEM file with the authority that signed it, which `share` hands out; by default the certificate
            itself.

    Attributes:
        network: the knobs, counters and log of the media path (`RemoteNetwork`).
        faults: faults to switch on, such as ``await lab.faults.drop_socket("alice")`` (`RemoteFaults`).
        accounts: user names and their passwords, valid in this lab only; as a student only your own.
        user: as whom you joined the lab of a class; None: it is your own, or you are its teacher.

    Raises:
        ValueError: the accounts or the number of workers are invalid, there is no such scenario, or other
            computers would reach the lab without a certificate.

    Example:
        >>> Lab(["ann", "bert"]).password("ann")
        'ann-secret'
    """

    def __init__(
        self,
        accounts: int | Sequence[str] | Mapping[str, str] | None = None,
        *,
        port: int = 0,
        seed: int = 1,
        robots: bool = True,
        workers: int = 0,
        servers: int = 1,
        scenario: ScenarioName | str | None = None,
        random_passwords: bool = False,
        host: str = HOST,
        certificate: str | os.PathLike[str] | None = None,
        key: str | os.PathLike[str] | None = None,
        ca: str | os.PathLike[str] | None = None,
    ) -> None:
        self.accounts = accounts_of(accounts, random_passwords=random_passwords or not is_loopback(host))
        self.user: str | None = None
        if scenario is not None:
            read_scenario(scenario)
        # A weak reference: the reader of the control channel refers to `network`, and must not keep a lab
        # alive that nobody refers to any more.
        me = weakref.ref(self)

        async def do(command: str, /, **arguments: Any) -> Any:
            lab = me()
            if lab is None:
                raise LabError("The lab is gone: its Lab object was deleted. Start a new Lab.")
            return await lab._do(command, **arguments)

        self.network = RemoteNetwork(do)
        self.faults = RemoteFaults(do)
        self._entries = _Entries()
        self._config = LabConfig(
            port=port,
            accounts=self.accounts,
            seed=seed,
            robots=robots,
            workers=workers,
            servers=servers,
            scenario=scenario,
            student_tokens={name: secrets.token_urlsafe(24) for name in self.accounts},
            host=host,
            certificate=_path(certificate),
            key=_path(key),
            ca=_path(ca),
        )
        listening_of(self._config)
        self._ca_file = self._config.ca_file
        self._joined: ClassFile | None = None
        self._owner = os.getpid()
        self._child: Child | None = None
        self._control: ControlClient | None = None
        self._forget: Callable[[], object] | None = None
        self._about: dict[str, Any] = {}
        self.start_seconds: float | None = None

    async def start(self) -> Self:
        """Start the subprocess and connect to it. Does nothing if it is running.

        A lab that was started in an earlier `asyncio.run` is stopped and started again.

        Raises:
            LabError: the subprocess did not start; the message has its last output.
        """
        if self._control is not None and self._control.loop_closed:
            await self.close()
        if self._control is not None or self._child is not None:
            return self
        began = time.monotonic()
        take: dict[str, Callable[[Any], None]] = {
            "collected": partial(self._entries.take, "collected"),
            "event": partial(self._entries.take, "event"),
            "network": self.network.note,
            "scenario": self.network.note_scenario,
        }
        control = ControlClient(lambda name, data: take[name](data) if name in take else None)
        try:
            await control.open(*await self._found(), self._ca_file)
        except BaseException:
            await self.close()
            raise
        self._control = control
        for entry in await self._do("network.history"):
            self.network.note(entry)
        self.network.note_scenario((await self.status())["scenario"])
        self.start_seconds = time.monotonic() - began
        return self

    async def _found(self) -> tuple[str, str]:
        """The URL of the control channel and the token: of the lab that was joined, or of one started now."""
        if self._joined is not None:
            self._about = self._joined.addresses
            token = self._joined.teacher if self.user is None else self._joined.students[self.user].token
            return self._about["control"], token or ""
        child = self._child = Child(self._config)
        # A lab that nobody refers to any more (a cell run twice) is stopped with its object, or at exit.
        self._forget = weakref.finalize(self, _hang_up, child, self._owner).detach
        self._about = await child.ready(START_TIMEOUT_S)
        return self._about["control"], child.token

    @classmethod
    async def join(cls, path: str | os.PathLike[str], user: str | None = None) -> Self:
        """Join the lab of a class: that of another process, on this machine or on another (`Lab(host=...)`).

        What a student may do: log in and call robots and other students, see the network, have robots call,
        and see the own calls. What only the teacher may do raises a `LabError` that says so.

        Args:
            path: the file that the teacher has handed out, see `share`.
            user: as which student; by default as the one student in the file, or as the teacher if the file
                is the teacher's.

        Raises:
            LabError: the file cannot be used, there is no such student in it, or the lab has ended.

        Example::

            lab = await plivo_nb.Lab.join("class.json", "alice")
            client = lab.client()
            await client.login(lab.user, lab.password(lab.user))
        """
        joined = ClassFile.read(Path(path))
        if user is None and joined.teacher is None:
            if len(joined.students) != 1:
                raise LabError(f"{os.fspath(path)} is for several students: say which, with user=.")
            user = next(iter(joined.students))
        if user is not None:
            joined = joined.of_student(user)
        lab = cls({name: student.password for name, student in joined.students.items()})
        lab._joined, lab.user = joined, user
        if joined.authority is not None:
            lab._ca_file = kept_until_exit(joined.authority)
        return await lab.start()

    def share(self, path: str | os.PathLike[str], *, student: str | None = None) -> None:
        """Write a file with which others `join` this lab. Only its owner can read it.

        Args:
            path: the file, such as ``class.json``; or a folder, one that exists or a path that
                ends with ``/``: it gets ``teacher.json`` and a file for each student, to hand out.
            student: write the secrets of this student only; by default those of all, and the teacher's.

        Raises:
            LabError: the lab is not running, its passwords can be guessed, or you are not its teacher.
            OSError: the file cannot be written.
        """
        if self._control is None:
            raise LabError(_NOT_RUNNING)
        whole = self._class_file()
        target = Path(path)
        if student is not None:
            whole.of_student(student).write(target)
        elif target.is_dir() or os.fspath(path).endswith(("/", os.sep)):
            target.mkdir(mode=0o700, exist_ok=True)
            whole.write(target / "teacher.json")
            for name in whole.students:
                whole.of_student(name).write(target / f"{name}.json")
        else:
            whole.write(target)

    def share_accounts(self, path: str | os.PathLike[str], users: Iterable[str]) -> None:
        """Write a file with the secrets of these accounts only, for processes that call with them.

        `plivo_nb.fleet` gives it to its workers. Only its owner can read it.

        Args:
            path: the file.
            users: the accounts.

        Raises:
            LabError: the lab is not running, has no such account, or you are not its teacher.
            OSError: the file cannot be written.
        """
        if self._control is None:
            raise LabError(_NOT_RUNNING)
        whole = self._class_file(guessable=True)
        missing = sorted(set(users) - set(whole.students))
        if missing:
            known = ", ".join(list(whole.students)[:10])
            raise LabError(f"The lab has no account {missing[0]!r}; it has {known}.")
        students = {user: whole.students[user] for user in users}
        ClassFile(whole.addresses, None, students, whole.authority).write(Path(path))

    def _class_file(self, *, guessable: bool = False) -> ClassFile:
        if self._joined is not None:
            if self.user is not None:
                raise LabError(f"Only the teacher can share a lab; you joined as {self.user}.")
            return self._joined
        if not guessable and any(password == f"{name}-secret" for name, password in self.accounts.items()):
            raise LabError(
                "The passwords of this lab can be guessed; start it with Lab(30, random_passwords=True)."
            )
        assert self._child is not None
        tokens = self._config.student_tokens
        students = {name: StudentSecrets(password, tokens[name]) for name, password in self.accounts.items()}
        authority = Path(self._ca_file).read_text(encoding="ascii") if self._ca_file is not None else None
        return ClassFile(dict(self._about), self._child.token, students, authority)

    async def close(self) -> None:
        """Stop the lab: close its sockets and end its process. It is safe to call this more than once.

        The lab of a class that was joined goes on. In a fork of the process that started it, this does
        nothing.
        """
        if os.getpid() != self._owner:
            return
        control, self._control = self._control, None
        child, self._child = self._child, None
        if control is not None:
            await control.close()
        if child is not None:
            await child.stop(STOP_TIMEOUT_S)
        if self._forget is not None:
            self._forget()
            self._forget = None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def url(self) -> str:
        """The WebSocket URL of the switch, for the option ``registrationDomainSocket``.

        Raises:
            LabError: the lab is not running.
        """
        if self._control is None:
            raise LabError(_NOT_RUNNING)
        return str(self._about["url"])

    @property
    def pid(self) -> int | None:
        """The process id of the subprocess; None if it is not running, or belongs to somebody else."""
        return self._child.process.pid if self._child is not None else None

    @property
    def running(self) -> bool:
        """True from `start` until `close`, or until the process ends by itself."""
        if self._control is None:
            return False
        return self._control.connected if self._child is None else not self._child.exited.is_set()

    def password(self, username: str) -> str:
        """The password of an account.

        Raises:
            LabError: there is no such account; the message lists the accounts.
        """
        if username not in self.accounts:
            if self.user is not None:
                raise LabError(f"You joined this lab as {self.user}, and have no other password.")
            raise LabError(
                f"The lab has no account {username!r}; it has {', '.join(list(self.accounts)[:10])}."
            )
        return self.accounts[username]

    @shows_options
    def options(self, **more: Unpack[OptionKeywords]) -> OptionKeywords:
        """The options of a client of this lab, for ``Client(**lab.options())``.

        Args:
            more: options to add; they override those of the lab. A client of the lab opens no sound device
                unless ``sound="device"`` is given.
        """
        if self._control is None:
            raise LabError(_NOT_RUNNING)
        own = client_options(self._about, self._ca_file)
        return {**own, **more}

    @shows_options
    def client(self, **more: Unpack[OptionKeywords]) -> Client:
        """Make a client of this lab.

        Args:
            more: options of `Client`; they override those of `options`.
        """
        from plivo_nb.client import Client  # late: starting a lab needs no media stack in this process

        return Client(**self.options(**more))

    def call(
        self,
        user: str,
        n: int = 1,
        headers: Mapping[str, str] | None = None,
        role: RobotNumber | str = "echo",
    ) -> Operation[list[dict[str, Any]]]:
        """Make robots call a user, `n` calls at the same time.

        Args:
            user: an account that is logged in, such as ``"alice"``.
            n: the number of calls (1 to 200).
            headers: X-PH headers to send with the call.
            role: what the robot does after the answer: the number of a robot, such as ``echo``.

        Returns:
            An operation. It is done when each call rings or has failed; its result is a list with a dict for
            each call: ``robot``, ``call_uuid``, ``state`` (``ringing`` or ``failed``) and ``cause``.

        Raises (when awaited):
            LabError: there is no such role, or the lab has no robots.
        """
        calling = self._do("call", user=user, n=n, headers=dict(headers) if headers else None, role=role)
        return Operation(f"have robots call {user}", calling)

    async def status(self) -> dict[str, Any]:
        """The registrations, calls, robots and network settings, as a dict."""
        status: dict[str, Any] = await self._do("status")
        return status

    @property
    def robots(self) -> pd.DataFrame:
        """The robots: the numbers that can be called, and what each robot does. A row each."""
        import pandas as pd

        from plivo_nb.lab.robots.roles import ROBOTS

        return pd.DataFrame(
            [(number, description) for number, (description, _) in ROBOTS.items()],
            columns=["number", "what it does"],
        )

    @property
    def events(self) -> pd.DataFrame:
        """Registrations, calls and digits that robots received: a row each, indexed by UTC time. A copy."""
        return frame_of(self._entries.kept["event"], ["what", "who", "detail", "call_uuid"])

    @property
    def collected(self) -> pd.DataFrame:
        """The messages that the statistics service received: one row each, indexed by UTC time. A copy.

        Nested values become columns with dots, such as ``local.jitter``.
        """
        return frame_of(self._entries.kept["collected"], ["user", "msg", "callUUID"])

    def on_entry(self, callback: Callable[[str, dict[str, Any]], object]) -> Callable[[], None]:
        """Call `callback` with each new entry: ``"event"`` or ``"collected"``, and what it says as a dict.

        The entries are those of which `events` and `collected` make frames.

        Returns:
            A function that removes the callback.
        """
        callbacks = self._entries.callbacks
        callbacks.append(callback)
        return lambda: callbacks.remove(callback) if callback in callbacks else None

    async def _do(self, command: str, /, **arguments: Any) -> Any:
        if self._control is None:
            raise LabError(_NOT_RUNNING)
        if os.getpid() != self._owner:
            raise LabError(
                "This lab belongs to the process that was forked; start another one in this process."
            )
        return await self._control.do(command, **arguments)

    def __repr__(self) -> str:
        where = f"at {self.url}" if self.running else "not running"
        who = f"{len(self.accounts)} accounts" if self.user is None else f"joined as {self.user}"
        return f"<Lab {where}, {who}>"


def _path(given: str | os.PathLike[str] | None) -> str | None:
    """Absolute: the lab's process reads it too."""
    return None if given is None else str(Path(given).expanduser().resolve())


def _hang_up(child: Child, owner: int) -> None:
    """Stop the subprocess, unless this is a fork of the process that started it."""
    if os.getpid() == owner:
        child.hang_up()


class _Entries:
    """What the lab has published; not part of `Lab`, so that the control channel's reader keeps no lab alive.

    Attributes:
        kept: the last entries, by name.
        callbacks: called with the name and the entry.
    """

    def __init__(self) -> None:
        self.kept: dict[str, deque[dict[str, Any]]] = {
            name: deque(maxlen=_KEPT) for name in ("event", "collected")
        }
        self.callbacks: list[Callable[[str, dict[str, Any]], object]] = []

    def take(self, name: str, entry: dict[str, Any]) -> None:
        """Keep an entry, and tell it to the callbacks."""
        self.kept[name].append(entry)
        for callback in list(self.callbacks):
            try:
                callback(name, entry)
            except Exception:  # the reader of the control channel goes on
                _logger.exception("A callback of the lab failed.")
