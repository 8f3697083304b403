"""One worker's calls: an engine, a client an account, and the file of each call that ends.

It knows nothing of Dask: `plivo_nb.fleet.worker` runs it in a worker process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

import plivo_nb
from plivo_nb.analysis import call_file
from plivo_nb.analysis.call_file import CallData
from plivo_nb.errors import CallFailed, LoginFailed, MediaError, PlivoError
from plivo_nb.fleet.credentials import Credentials, CredentialsError
from plivo_nb.lab.class_file import ClassFile, client_options, kept_until_exit

if TYPE_CHECKING:
    from plivo_nb.call import Call
    from plivo_nb.call_archive import CallArchive
    from plivo_nb.client import Client
    from plivo_nb.fleet.plan import PlannedCall

_logger = logging.getLogger("plivo_nb.fleet")
_TONE_HZ = 440.0
_RING_S = 90.0
_LOGIN_S = 40.0
_STORED_S = 5.0
_OPTIONS: dict[str, Any] = {"sound": "none", "keepAudio": 0, "debug": "ERROR"}
_KEPT_CALLS = 50  # a client keeps the samples of its calls; after so many it is made anew


@dataclass(frozen=True, slots=True)
class HostSettings:
    """What a worker needs to know to make calls.

    Args:
        lab_file: on the worker, the file with which accounts of a lab log in; None: another server.
        options: those of each `Client`.
        credentials: where passwords are; of a lab they are in its file.
        sound: whether the sound of calls is recorded.
    """

    lab_file: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    credentials: Credentials = field(default_factory=Credentials)
    sound: bool = False


@dataclass(frozen=True, slots=True)
class CallResult:
    """What a worker says of a call that is over.

    Attributes:
        number: of the call.
        event: ``ended``, or ``refused`` where it was not answered.
        cause: why it was not answered, a sentence; None where it was.
        data: the content of its Parquet file.
        sound: the content of its recording.
        problem: what went wrong beside the call, such as a full disk.
    """

    number: int
    event: str
    cause: str | None
    data: bytes
    sound: bytes | None = None
    problem: str | None = None


class CallHost:
    """The calls of one process.

    Args:
        settings: where to call.
        name: of the worker, for tags.
    """

    def __init__(self, settings: HostSettings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._clients: dict[str, _Account] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._results: list[CallResult] = []
        self._changed = asyncio.Event()
        self._canceled = False
        self._ca_file: str | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="plivo-nb-calls-", ignore_cleanup_errors=True)

    # ------------------------------------------------------------ what the campaign asks for

    def start(self, call: PlannedCall, tags: dict[str, Any]) -> None:
        """Begin a call; its result follows in `collect`."""
        name = f"campaign call {call.number}"
        self._tasks[call.number] = asyncio.get_running_loop().create_task(self._run(call, tags), name=name)

    async def collect(self, timeout_s: float) -> list[CallResult]:
        """The results of the calls that ended since the last time; it waits for one for some seconds."""
        if not self._results:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), timeout_s)
        results, self._results = self._results, []
        return results

    async def leave(self, account: str) -> None:
        """Log an account out: it calls from another worker."""
        found = self._clients.pop(account, None)
        if found is not None:
            await found.client.close()

    def cancel(self) -> None:
        """Hang up all calls."""
        self._canceled = True
        for account in self._clients.values():
            if account.client.current_call is not None:
                account.client.hangup()

    async def close(self) -> None:
        """End the calls, and log all accounts out."""
        self._changed.set()
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        clients, self._clients = self._clients, {}
        await asyncio.gather(*(account.client.close() for account in clients.values()))
        await asyncio.to_thread(self._folder.cleanup)

    # ------------------------------------------------------------ one call

    async def _run(self, call: PlannedCall, tags: dict[str, Any]) -> None:
        began_s = time.time()
        try:
            result = await self._dial(call, tags)
        except (PlivoError, OSError, ValueError, TimeoutError) as error:
            result = self._failed(call, tags, began_s, _cause(error))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            _logger.exception("Call %d failed.", call.number)
            result = self._failed(call, tags, began_s, f"{type(error).__name__}: {error}")
        finally:
            self._tasks.pop(call.number, None)
        self._results.append(result)
        self._changed.set()

    async def _dial(self, call: PlannedCall, tags: dict[str, Any]) -> CallResult:
        if self._canceled:
            raise CallFailed("Canceled", sentence="The campaign was canceled.")
        account = await self._account(call)
        client = account.client
        operation = client.call(call.destination, call.headers)
        dialled = operation.call
        if dialled is not None:
            dialled.tags.update(tags)
        try:
            async with asyncio.timeout(_RING_S):
                made = await operation
        except CallFailed as error:
            if dialled is None:
                raise
            with contextlib.suppress(PlivoError):
                await dialled.ended
            return await self._result(call, account, dialled, tags, "refused", _cause(error))
        source = _source(call.source)
        made.play(source, loop=isinstance(source, str))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(made.wait_ended(), call.duration_s)
        if not made.ended.done():
            await made.hangup()
        await made.ended
        return await self._result(call, account, made, tags, "ended", None)

    async def _account(self, call: PlannedCall) -> _Account:
        """The client of the account, logged in."""
        found = self._clients.get(call.account)
        if found is not None and found.calls >= _KEPT_CALLS:
            await self.leave(call.account)
            found = None
        if found is None:
            options, password = await asyncio.to_thread(self._login_of, call.account)
            codecs = {} if call.codec is None else {"codecs": [call.codec]}
            client = plivo_nb.Client(**{**_OPTIONS, **options, **codecs})
            found = self._clients[call.account] = _Account(client, password)
            try:
                found.archive = client.record_to(self._own_folder(call.account), sound=self._settings.sound)
            except MediaError as error:
                found.problem = str(error)
        if not found.client.is_logged_in:
            async with asyncio.timeout(_LOGIN_S):
                await found.client.login(call.account, found.password)
        found.calls += 1
        return found

    def _own_folder(self, account: str) -> Path:
        return Path(self._folder.name, account)

    def _login_of(self, account: str) -> tuple[dict[str, Any], str]:
        """The options and the password of an account. It reads files."""
        settings = self._settings
        if settings.lab_file is None:
            return dict(settings.options), settings.credentials.password(account)
        shared = ClassFile.read(Path(settings.lab_file))
        if account not in shared.students:
            raise CredentialsError(f"{settings.lab_file} has no account {account}.")
        if shared.authority is not None and self._ca_file is None:
            self._ca_file = kept_until_exit(shared.authority)
        options = {**client_options(shared.addresses, self._ca_file), **settings.options}
        return options, shared.students[account].password

    # ------------------------------------------------------------ results

    async def _result(
        self,
        call: PlannedCall,
        account: _Account,
        made: Call,
        tags: dict[str, Any],
        event: str,
        cause: str | None,
    ) -> CallResult:
        more = {**tags, "status": "done" if event == "ended" else "failed", "problem": cause}
        data, sound, problem = await self._stored(account, self._own_folder(call.account), made, more)
        return CallResult(call.number, event, cause, data, sound, problem)

    async def _stored(
        self, account: _Account, folder: Path, made: Call, tags: dict[str, Any]
    ) -> tuple[bytes, bytes | None, str | None]:
        """The files of a call that has ended; without its packets and SIP where the disk took no file."""
        deadline = time.monotonic() + _STORED_S
        problem = account.problem
        while problem is None:
            found = await asyncio.to_thread(_taken, folder, made.call_uuid)
            if found is not None:
                data, sound = found
                return await asyncio.to_thread(call_file.retagged, data, tags), sound, None
            problem = None if account.archive is None else account.archive.error
            if problem is None and time.monotonic() > deadline:
                problem = f"{self._name} did not store the file of a call in time."
            await asyncio.sleep(0.05)
        frames = made.call_frames()
        row = frames.calls.iloc[0]
        values = {str(name): _plain(value) for name, value in row.items()}
        values["time"] = row.name.timestamp()  # type: ignore[attr-defined]
        about = CallData(row=values, tags=tags, ended=True)
        return call_file.encode_parquet(about, frames.samples), None, problem

    def _failed(self, call: PlannedCall, tags: dict[str, Any], began_s: float, cause: str) -> CallResult:
        """The result of a call that was not dialled."""
        data = file_of_no_call(call, {**tags, "status": "failed", "problem": cause}, began_s)
        return CallResult(call.number, "refused", cause, data)


@dataclass(slots=True)
class _Account:
    client: Client
    password: str = field(repr=False)
    calls: int = 0
    archive: CallArchive | None = None
    problem: str | None = None


def file_of_no_call(call: PlannedCall, tags: dict[str, Any], began_s: float) -> bytes:
    """The content of the file of a call that was never dialled, or of which nothing is left.

    Args:
        call: the call.
        tags: with status and problem.
        began_s: when it was to begin, in seconds since 1970.
    """
    row = {
        "time": began_s,
        "call_uuid": f"planned-{call.number:06}",
        "direction": "OUTGOING",
        "src": call.account,
        "dest": call.destination,
        "state": "failed",
        "cause": tags.get("problem"),
        "codec_preferred": call.codec,
    }
    return call_file.encode_parquet(CallData(row=row, tags=dict(tags), ended=True))


def _source(name: str) -> Any:
    match name:
        case "speech":
            return str(plivo_nb.speech_path())
        case "tone":
            return plivo_nb.Tone(_TONE_HZ)
        case "silence":
            return plivo_nb.Silence()
    return name


def _cause(error: BaseException) -> str:
    """Why a call was not answered, in a sentence."""
    match error:
        case CallFailed():
            return f"The call was not answered: {error.cause}." if not str(error) else str(error)
        case LoginFailed(cause="Authentication Error"):
            return "The login was refused: wrong user name or password."
        case LoginFailed(cause="Connection Error" | "Request Timeout"):
            return "The server cannot be reached: is its address right, and does it run?"
        case TimeoutError():
            return "The server did not answer in time."
    return str(error) or type(error).__name__


def _taken(folder: Path, uuid: str | None) -> tuple[bytes, bytes | None] | None:
    """Take the files of a call out of the folder; None: they are not complete."""
    for path in folder.glob("day=*/*.parquet"):
        data = path.read_bytes()
        sound_path = path.with_suffix(call_file.SOUND)
        sound = sound_path.read_bytes() if sound_path.exists() else None
        sound_path.unlink(missing_ok=True)
        path.unlink()
        call = call_file.decode_about(data)
        if call is not None and call.row.get("call_uuid") == uuid:
            return data, sound
    return None


def _plain(value: Any) -> Any:
    missing = value is None or value is pd.NaT or value != value
    return None if missing else value
