"""The statistics service's client: one POST after the login, then a WebSocket with one JSON object a frame.

While the service cannot be reached, messages wait in a bounded queue and the connection is retried at growing
intervals; no call ever waits for it.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from plivo_nb.addresses import is_same_secure_host
from plivo_nb.late_import import import_in_thread
from plivo_nb.options import INSIGHTS_URL, STATS_URL

if TYPE_CHECKING:
    from collections.abc import Callable
    from ssl import SSLContext

    from aiohttp import ClientSession, StreamReader
    from websockets.asyncio.client import ClientConnection

    from plivo_nb.insights.messages import Message
    from plivo_nb.options import Options

_logger = logging.getLogger("plivo_nb.insights")

QUEUE_SIZE = 1000
FIRST_RETRY_S = 1.0
MAX_RETRY_S = 30.0
FLUSH_S = 0.5
_REQUEST_S = 10.0
_CANCELS = 3
_MAX_REDIRECTS = 3
MAX_ANSWER_BYTES = 64 * 1024
_MAX_KEY_LENGTH = 1024


def is_wanted(options: Options) -> bool:
    """Whether messages about this client's calls are to be sent.

    Not without enableTracking; not where an address of the service was refused; and not when the signalling
    server is not Plivo's while statsUrl or insightsUrl still has Plivo's address.
    """
    if not options.enable_tracking or {"stats_url", "insights_url"} & options.refused_addresses.keys():
        return False
    hosts = [(urlsplit(url).hostname or "").lower() for url in options.registration_domain_socket]
    with_plivo = any(host == "plivo.com" or host.endswith(".plivo.com") for host in hosts)
    return with_plivo or (options.stats_url != STATS_URL and options.insights_url != INSIGHTS_URL)


class _Unreachable(Exception):
    """The service cannot be reached now."""


class Service:
    """Sends messages of one client to the statistics service.

    Args:
        stats_url: validates the login (POST).
        insights_url: the WebSocket.
        queue_size: limit of waiting messages; the oldest CALL_STATS is dropped first.
        ca_file: PEM file with more certificate authorities.
        first_retry_s, max_retry_s: pause after a failure; it doubles from the first to the last.

    Attributes:
        sent, dropped: numbers of messages so far.
        rtp_enabled: whether the service wants CALL_STATS; None while that is not known.
    """

    def __init__(
        self,
        stats_url: str,
        insights_url: str,
        *,
        ca_file: str | None = None,
        queue_size: int = QUEUE_SIZE,
        first_retry_s: float = FIRST_RETRY_S,
        max_retry_s: float = MAX_RETRY_S,
    ) -> None:
        self._stats_url = stats_url
        self._insights_url = insights_url
        self._ca_file = ca_file
        self._queue_size = queue_size
        self._first_retry_s = first_retry_s
        self._max_retry_s = max_retry_s
        self._queue: deque[Message] = deque()
        self._wake = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._task: asyncio.Task[None] | None = None
        self._key: str | None = None
        self._unreachable = False
        self._refused = False
        self._doubtful: Message | None = None  # sent on a connection that was lost before the pong
        self._aiohttp = import_in_thread("aiohttp")  # needed after a login; it takes half a second
        self.rtp_enabled: bool | None = None
        self.sent = 0
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """Messages in the queue."""
        return len(self._queue)

    def login(self, username: str, password: str, domain: str) -> None:
        """Start for this user. Returns at once; the password is kept until it has been validated."""
        self._refused, self._key, self.rtp_enabled, self._unreachable = False, None, None, False
        self._keep(lambda message: message["userName"] == username)
        credentials = {"username": username, "password": password, "domain": domain}
        self._task = asyncio.get_running_loop().create_task(self._run(credentials), name="plivo_nb insights")
        self._task.add_done_callback(_log_failure)

    def put(self, message: Message) -> None:
        """Queue a message; it is sent as soon as the service is connected."""
        if self._refused or (message["msg"] == "CALL_STATS" and self.rtp_enabled is False):
            return
        if len(self._queue) >= self._queue_size:
            if not self.dropped:
                _logger.warning(
                    "The statistics service has been unreachable for long; the oldest messages are dropped."
                )
            self.dropped += 1
            oldest = next((item for item in self._queue if item["msg"] == "CALL_STATS"), self._queue[0])
            self._queue.remove(oldest)
        self._queue.append(message)
        self._empty.clear()
        self._wake.set()

    async def logout(self, flush_s: float = FLUSH_S) -> None:
        """Close the socket; waiting messages are sent before, for at most `flush_s` seconds."""
        task, self._task = self._task, None
        if task is None:
            return
        if not task.done() and not self._unreachable:
            try:
                await asyncio.wait_for(self._empty.wait(), flush_s)
            except TimeoutError:
                _logger.info("%d messages to the statistics service were not sent.", len(self._queue))
        for _ in range(_CANCELS):  # a time-out that ends at this very moment can swallow one
            if not task.done():
                task.cancel()
                await asyncio.wait([task], timeout=1.0)

    # ------------------------------------------------------------ the task

    async def _run(self, credentials: dict[str, str]) -> None:
        if not await self._validated(credentials):
            self._refused = True
            self._keep(lambda _: False)
            return
        credentials.clear()
        pause_s = self._first_retry_s
        while True:
            await self._wait_for_message()
            before = self.sent
            try:
                await self._connection()
            except _Unreachable as error:
                pause_s = self._first_retry_s if self.sent > before else pause_s
                pause_s = await self._pause(error, pause_s)

    async def _validated(self, credentials: dict[str, str]) -> bool:
        """Whether the service is enabled for the account; retried until the service answers."""
        pause_s = self._first_retry_s
        while True:
            try:
                answer = await self._post(credentials)
            except _Unreachable as error:
                pause_s = await self._pause(error, pause_s)
                continue
            if answer is None:
                _logger.info("The statistics service is not enabled for this account.")
                return False
            self._key = answer["data"]
            self.rtp_enabled = answer.get("is_rtp_enabled") is True
            if not self.rtp_enabled:
                self._keep(lambda message: message["msg"] != "CALL_STATS")
            return True

    async def _post(self, credentials: dict[str, str]) -> dict[str, Any] | None:
        """The answer; None when the service is not enabled for the account.

        Raises:
            _Unreachable: no answer, HTTP 429 or 5xx.
        """
        await asyncio.wrap_future(self._aiohttp)
        import aiohttp

        from plivo_nb.connections import tls_context

        timeout = aiohttp.ClientTimeout(total=_REQUEST_S)
        try:
            tls = await asyncio.to_thread(tls_context, self._ca_file)  # reading takes 20 ms
            # Not decompressed: a small answer may become a very large one.
            async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:
                status, body = await self._post_to(session, self._stats_url, credentials, tls)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _Unreachable(f"{type(error).__name__} at {self._stats_url}") from None
        if status >= 500 or status == 429:
            raise _Unreachable(f"HTTP {status} from {self._stats_url}")
        if 300 <= status < 400:
            _logger.warning(
                "The statistics service redirects the login to another host, or without encryption; that is "
                "not followed, because the login has the password in it. No statistics are sent."
            )
        if status != 200 or not body.strip():
            return None
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):  # RecursionError: nested too deeply
            answer = None
        key = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(answer, dict) or not isinstance(key, str) or len(key) > _MAX_KEY_LENGTH:
            _logger.info("The statistics service sent an answer of unknown format; it is not used.")
            return None
        return answer

    async def _post_to(
        self, session: ClientSession, url: str, credentials: dict[str, str], tls: SSLContext
    ) -> tuple[int, bytes]:
        """The status and body of the answer; redirects to the same host over https are followed."""
        from plivo_nb.connections import system_proxy

        for _ in range(_MAX_REDIRECTS + 1):
            async with session.post(
                url,
                json=credentials,
                headers={"Accept-Encoding": "identity"},
                allow_redirects=False,
                ssl=tls,
                proxy=system_proxy(url),
            ) as response:
                status, body = response.status, await _read(response.content)
                target = urljoin(url, response.headers.get("Location", ""))
            if status not in (301, 302, 307, 308) or not is_same_secure_host(url, target):
                break
            url = target
        return status, body

    async def _connection(self) -> None:
        """One connection: send what is queued, as it comes, until it is lost.

        Raises:
            _Unreachable: it could not be made, or was lost.
        """
        from websockets.exceptions import WebSocketException

        from plivo_nb.connections import websocket

        try:
            connection = await websocket(
                self._insights_url,
                ca_file=self._ca_file,
                open_timeout=_REQUEST_S,
                close_timeout=FLUSH_S,
                compression=None,
                max_size=MAX_ANSWER_BYTES,
            )
            socket = await connection
            try:
                await self._talk(socket)
            finally:
                await socket.close()  # with 1000; as a context manager it says 1011 when it is cancelled
        except (WebSocketException, TimeoutError, OSError) as error:
            raise _Unreachable(f"{type(error).__name__} at {self._insights_url}") from None

    async def _talk(self, socket: ClientConnection) -> None:
        """Send until the connection is lost; without waiting messages that is no error.

        A message counts as sent when a pong shows that the service has received it: one that was on its way
        when the connection was lost is sent again, once.
        """
        reading = asyncio.create_task(_drain(socket), name="plivo_nb insights reader")
        reading.add_done_callback(lambda _: self._wake.set())
        try:
            while True:
                while self._queue:
                    message = self._queue[0]
                    await self._deliver(socket, message)
                    self._sent(message)
                self._wake.clear()
                if reading.done():
                    return
                await self._wake.wait()
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _deliver(self, socket: ClientConnection, message: Message) -> None:
        """Send a message, and wait until a pong shows that it arrived; dropped if that fails twice."""
        again, self._doubtful = message is self._doubtful, message
        try:
            await socket.send(json.dumps({**message, "callstats_key": self._key}))
            async with asyncio.timeout(_REQUEST_S):
                await (await socket.ping())
        except Exception:
            if again and message in self._queue:
                self._queue.remove(message)
                self.dropped += 1
            raise
        self._doubtful = None

    def _sent(self, message: Message) -> None:
        self._unreachable = False
        self.sent += 1
        if self._queue and self._queue[0] is message:
            self._queue.popleft()
        if not self._queue:
            self._empty.set()

    async def _wait_for_message(self) -> None:
        while not self._queue:
            self._wake.clear()
            await self._wake.wait()

    async def _pause(self, error: _Unreachable, pause_s: float) -> float:
        """Wait before the next try; returns the pause to use after that one."""
        log = _logger.debug if self._unreachable else _logger.info
        log("The statistics service cannot be reached (%s); calls are not affected, it is retried.", error)
        self._unreachable = True
        await asyncio.sleep(pause_s)
        return min(2 * pause_s, self._max_retry_s)

    def _keep(self, wanted: Callable[[Message], bool]) -> None:
        self._queue = deque(message for message in self._queue if wanted(message))
        if not self._queue:
            self._empty.set()


async def _read(content: StreamReader) -> bytes:
    """The body of an answer up to one byte more than `MAX_ANSWER_BYTES`, which then is no JSON."""
    body = bytearray()
    while len(body) <= MAX_ANSWER_BYTES:
        part = await content.read(MAX_ANSWER_BYTES + 1 - len(body))
        if not part:
            return bytes(body)
        body += part
    return b"\0"


async def _drain(socket: ClientConnection) -> None:
    """Read and discard, so that pings and the close frame are handled."""
    async for _ in socket:
        pass


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _logger.error(
            "The task of the statistics service failed; calls are not affected.", exc_info=task.exception()
        )
