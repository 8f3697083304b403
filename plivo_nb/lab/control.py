"""The control channel between a notebook and its lab: JSON over a WebSocket.

notebook                                 lab
{"token": TOKEN}                         {"welcome": true}        or the socket is closed with code 4401
{"id": 7, "do": NAME, "with": {...}}     {"id": 7, "ok": VALUE}   or {"id": 7, "error": MESSAGE}
                                         {"event": NAME, "data": {...}}   at any time
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from plivo_nb.connections import tls_context
from plivo_nb.errors import LabError
from plivo_nb.lab.listening import LOOPBACK, Listening
from plivo_nb.lab.membership import TEACHER, Member, concerns

_logger = logging.getLogger("plivo_nb.lab.control")

REFUSED = 4401
_MAX_FRAME_BYTES = 64 << 20
_FIRST_FRAME_S = 5.0
_MAX_COMMANDS = 64  # in progress at once, for one client; then its socket is not read
_MAX_UNSENT_EVENTS = 20_000
_MAX_UNSENT_BYTES = 16 * 1024 * 1024  # of events

Handler = Callable[[str, dict[str, Any], Member], Awaitable[Any]]
EventCallback = Callable[[str, Any], None]


class ControlServer:
    """The lab's end of the control channel.

    Args:
        token: what the teacher's client must send first.
        handle: runs a command of a member; the message of a ValueError or LabError that it raises is sent to
            the client.
        students: the tokens of students, by their user names.
        listening: where to listen.
    """

    def __init__(
        self,
        token: str,
        handle: Handler,
        students: Mapping[str, str] | None = None,
        listening: Listening = LOOPBACK,
    ) -> None:
        self._listening = listening
        self._members = {_digest(token): TEACHER}
        self._members |= {_digest(own): Member(user) for user, own in (students or {}).items()}
        self._handle = handle
        self._server: Server | None = None
        self._clients: dict[ServerConnection, Member] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._unsent_bytes = 0
        self._dropped = 0

    async def start(self) -> str:
        """Listen on a free port.

        Returns:
            The URL, such as ``ws://127.0.0.1:PORT``.
        """
        # No keep-alive pings: a cell may block the notebook's loop for minutes.
        self._server = await serve(
            self._serve_client,
            self._listening.address,
            0,
            ssl=self._listening.tls,
            origins=[None],  # refuse web pages: only their requests have an Origin header
            process_request=self._listening.refuse_others,
            ping_interval=None,
            compression=None,
            max_size=_MAX_FRAME_BYTES,
        )
        port = next(iter(self._server.sockets)).getsockname()[1]
        return self._listening.websocket_url(port)

    async def close(self) -> None:
        """Stop listening and close every client's socket."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def publish(self, event: str, data: Any) -> None:
        """Send an event to every client that it concerns.

        If clients do not read, events are dropped, to bound the memory.
        """
        text = json.dumps({"event": event, "data": data})
        for client, member in list(self._clients.items()):
            if not concerns(member, event, data):
                continue
            if len(self._tasks) > _MAX_UNSENT_EVENTS or self._unsent_bytes + len(text) > _MAX_UNSENT_BYTES:
                if not self._dropped:
                    _logger.warning("A control client does not read: events are dropped.")
                self._dropped += 1
                return
            self._unsent_bytes += len(text)
            self._spawn(self._send_event(client, text))

    async def _send_event(self, client: ServerConnection, text: str) -> None:
        try:
            await _send(client, text)
        finally:
            self._unsent_bytes -= len(text)

    async def _serve_client(self, client: ServerConnection) -> None:
        try:
            async with asyncio.timeout(_FIRST_FRAME_S):
                hello = json.loads(await client.recv())
            given = hello.get("token") if isinstance(hello, dict) else None
        except (ValueError, RecursionError, TimeoutError, ConnectionClosed):
            given = None
        member = self._members.get(_digest(given)) if isinstance(given, str) else None
        if member is None:
            _logger.warning("A control connection without the right token was refused.")
            await client.close(REFUSED, "wrong token")
            return
        await _send(client, json.dumps({"welcome": True}))
        self._clients[client] = member
        room = asyncio.Semaphore(_MAX_COMMANDS)
        try:
            async for frame in client:
                await room.acquire()
                self._spawn(self._answer(client, member, frame)).add_done_callback(lambda _: room.release())
        except ConnectionClosed:
            pass
        finally:
            self._clients.pop(client, None)

    async def _answer(self, client: ServerConnection, member: Member, frame: str | bytes) -> None:
        identifier: Any = None
        try:
            request = json.loads(frame)
            identifier = request["id"]
            command, arguments = str(request["do"]), dict(request.get("with") or {})
            reply = {"id": identifier, "ok": await self._handle(command, arguments, member)}
        except (ValueError, RecursionError, LabError) as error:
            reply = {"id": identifier, "error": str(error)}
        except (KeyError, TypeError) as error:
            reply = {"id": identifier, "error": f"The lab does not understand this command ({error!r})."}
        except Exception as error:
            _logger.exception("A control command failed.")
            reply = {"id": identifier, "error": f"The lab failed at this command: {error!r}."}
        await asyncio.sleep(0)  # events that the command has caused are sent first
        await _send(client, json.dumps(reply))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name="lab control")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class ControlClient:
    """The notebook's end of the control channel.

    Args:
        on_event: called with the name and the data of every event that the lab publishes.
    """

    def __init__(self, on_event: EventCallback | None = None) -> None:
        self._on_event = on_event
        self._socket: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._ids = itertools.count(1)
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def loop_closed(self) -> bool:
        """True if the event loop of `open` is closed: the connection is lost with it."""
        return self._loop is not None and self._loop.is_closed()

    @property
    def connected(self) -> bool:
        """Whether the lab can be reached."""
        return self._reader is not None and not self._reader.done()

    async def open(self, url: str, token: str, ca_file: str | None = None) -> None:
        """Connect and send the token.

        Args:
            url: ``ws://`` or ``wss://``.
            token: of a member.
            ca_file: PEM file with more certificate authorities.

        Raises:
            LabError: the lab cannot be reached, or refuses the token.
        """
        self._loop = asyncio.get_running_loop()
        try:
            encrypted = url.startswith("wss:")
            self._socket = await connect(
                url,
                ssl=await asyncio.to_thread(tls_context, ca_file) if encrypted else None,
                ping_interval=None,
                compression=None,
                proxy=None,
                max_size=_MAX_FRAME_BYTES,
                close_timeout=1,
            )
            await self._socket.send(json.dumps({"token": token}))
            await self._socket.recv()
        except ConnectionClosed as error:
            await self.close()
            why = (
                "it refused the token"
                if error.rcvd is not None and error.rcvd.code == REFUSED
                else "the lab closed it"
            )
            raise LabError(f"The lab's control channel cannot be used: {why}. Start a new Lab.") from error
        except (OSError, InvalidHandshake, TimeoutError) as error:
            raise LabError(f"The lab cannot be reached ({error}). Start a new Lab.") from error
        self._reader = asyncio.get_running_loop().create_task(
            self._read(self._socket), name="lab control reader"
        )

    async def close(self) -> None:
        """Close the socket; commands in progress fail with a LabError."""
        if self.loop_closed:
            self._reader = self._socket = None
            return
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
            self._reader = None
        if self._socket is not None:
            await self._socket.close()
            self._socket = None
        self._fail_waiting()

    async def do(self, command: str, /, **arguments: Any) -> Any:
        """Run a command in the lab and return its result.

        Raises:
            LabError: the command failed, or the lab has ended.
        """
        if self._socket is None:
            raise LabError("The lab is not running; use `async with Lab() as lab:` or `await lab.start()`.")
        if self.loop_closed:
            raise LabError(_LOOP_CLOSED)
        identifier = next(self._ids)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[identifier] = answer
        try:
            await self._socket.send(json.dumps({"id": identifier, "do": command, "with": arguments}))
            return await answer
        except ConnectionClosed:
            raise LabError(_GONE) from None  # the websockets traceback does not help the user
        finally:
            self._waiting.pop(identifier, None)

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for frame in socket:
                self._dispatch(json.loads(frame))
        except ConnectionClosed:
            pass
        finally:
            self._fail_waiting()

    def _dispatch(self, message: dict[str, Any]) -> None:
        if "event" in message:
            if self._on_event is not None:
                self._on_event(str(message["event"]), message.get("data"))
            return
        answer = self._waiting.get(message.get("id", -1))
        if answer is None or answer.done():
            return
        if "error" in message:
            answer.set_exception(LabError(str(message["error"])))
        else:
            answer.set_result(message.get("ok"))

    def _fail_waiting(self) -> None:
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(LabError(_GONE))


_GONE = "The lab is gone: its process has ended. Start a new Lab."
_LOOP_CLOSED = (
    "The lab was started on an event loop that is closed: each asyncio.run() has a loop of its own. "
    "Call `await lab.start()` again in the asyncio.run() that uses the lab."
)


async def _send(socket: ServerConnection, text: str) -> None:
    with contextlib.suppress(ConnectionClosed):
        await socket.send(text)


def _digest(token: str) -> bytes:
    """What a token is looked up by: the time that takes says nothing about the token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
