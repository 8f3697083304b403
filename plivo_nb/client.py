"""Plivo and Client: the methods, variables and events of Plivo's Browser SDK, in PEP 8 names and in Plivo's.

`Client` checks nothing and knows no protocol: `engine.endpoint` has the rules and `engine.call_session` the
calls.
"""

from __future__ import annotations

import asyncio
import html
import inspect
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, Unpack

from plivo_nb.analysis.call_frames import CallFrames
from plivo_nb.call import Call
from plivo_nb.engine.endpoint import Endpoint, refusal
from plivo_nb.engine.engine import Engine, media_stack_loads
from plivo_nb.engine.log_handler import install
from plivo_nb.engine.peer_connection import PeerConnection
from plivo_nb.engine.sip_trace import ALL
from plivo_nb.engine.validation import FEEDBACK_COMMENTS, FeedbackComment
from plivo_nb.errors import InvalidState
from plivo_nb.events import CallInfo, Emitter, EventName, EventStream
from plivo_nb.operation import Operation
from plivo_nb.options import (
    DEBUG_LEVELS,
    DebugLevel,
    OptionKeywords,
    PlivoOptions,
    changed_options,
    read_options,
    shows_options,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Coroutine, Mapping

    import pandas as pd

    from plivo_nb.analysis.ladder import Ladder
    from plivo_nb.call_archive import CallArchive
    from plivo_nb.engine.audio.devices import AudioDevices
    from plivo_nb.engine.call_session import CallSession
    from plivo_nb.engine.log import Entry
    from plivo_nb.events import Subscribe, WaitFor

_logger = logging.getLogger("plivo_nb.client")
_T = TypeVar("_T")
_CLOSE_TIMEOUT_S = 0.05
_CLOSED = "{}: this client is closed; make a new Client."

_LEVELS = {"OFF": logging.CRITICAL + 10, "ERROR": logging.ERROR, "WARN": logging.WARNING}
_LEVELS |= {"INFO": logging.INFO, "DEBUG": logging.DEBUG, "ALL": ALL}


class Client:
    """A Plivo endpoint in a notebook: log in, call, answer, measure.

    Every method that starts something returns an `Operation` at once. Ignore it, and events report the
    outcome as in the Browser SDK; or await it for the result, or for an exception with the cause.

    Args:
        options: a dict with Plivo's keys; `plivo_nb.options.Options` describes each.
        engine: an engine of your own, such as ``Engine(plane="loop")``; None: the one that all clients of
            this event loop share.
        keywords: options by their PEP 8 names or by Plivo's; they take precedence over the dict.

    Raises:
        NoRunningLoop: no event loop is running.
        InvalidOption: an option is unknown or has a wrong value, and ``strict=True``.

    Events and the arguments of their callbacks, see `on`:

        onLogin                  none
        onLoginFailed            cause
        onLogout                 none
        onCalling                none
        onCallRemoteRinging      callInfo
        onCallAnswered           callInfo
        onCallTerminated         callInfo
        onCallFailed             cause, callInfo
        onIncomingCall           callerID, extraHeaders, callInfo
        onIncomingCallCanceled   callInfo
        onIncomingCallIgnored    callInfo
        onMediaPermission        {'status': 'success', 'stream': True} or {'status': 'failure', 'error': name}
        onWebrtcNotSupported     none
        onAudioDeviceChange      {'change': 'added' or 'removed', 'device': device}
        onConnectionChange       {'state': 'connected'} or
                                 {'state': 'disconnected', 'eventCode': code, 'eventReason': reason}
        onDtmfReceived           {'tone': digit, 'duration': ms}
        onMediaError             {'what': 'source', 'sink', 'recording' or 'capture', 'path': path or None,
                                 'message': sentence}, callInfo
        mediaMetrics             {'group', 'level', 'type', 'value', 'active', 'desc', 'stream'}

    Here callInfo is a `CallInfo`. onCallAnswered, onCallTerminated and onCallFailed are for calls of both
    directions. onDtmfReceived is an addition to Plivo's page, and so is onMediaError: a source, sink,
    recording or capture of a call stopped, and the call goes on.

    Plivo's page has typing errors that are corrected here: `no_microphone_acesss` is `no_microphone_access`,
    `dec` is `desc`, `Type` is `type`. Where it says that reject "will attempt to answer", reject rejects;
    where it says that an ignored call keeps ringing for the callee, it keeps ringing for the caller.

    Example:
        >>> import asyncio
        >>> from plivo_nb.testing import FakeServer
        >>> async def main():
        ...     async with FakeServer() as server, server.client() as client:
        ...         await client.login("alice", server.password("alice"))
        ...         call = await client.call("echo")
        ...         return (await call.hangup()).state
        >>> asyncio.run(main())
        'ended'
    """

    @shows_options
    def __init__(
        self,
        options: PlivoOptions | None = None,
        *,
        engine: Engine | None = None,
        **keywords: Unpack[OptionKeywords],
    ) -> None:
        self.options = read_options(options, keywords)
        self._engine = engine or Engine.current()
        self._loop = self._engine.loop
        self._operations: set[Operation[Any]] = set()
        self._emitter = Emitter(self._engine.utc_ns)
        self._endpoint = Endpoint(self._engine, self.options, self._emitter)
        self._calls: dict[int, Call] = {}
        self._archives: list[CallArchive] = []
        self._closed = False
        self._at_close: list[Callable[[], Any]] = []
        if "debug" in {*(options or {}), *keywords}:
            self.set_debug(self.options.debug)
        else:
            install(show_in_cell=False)
            if not logging.getLogger("plivo_nb").level:  # a default changes no level that was set before
                logging.getLogger("plivo_nb").setLevel(_LEVELS[self.options.debug])
        self._engine.attach(self)
        self._engine.load(when_broken=lambda: self._endpoint.emit("onWebrtcNotSupported"))

    # ------------------------------------------------------------ login and logout

    def login(self, username: str, password: str) -> Operation[None]:
        """Register at the domain; `onLogin` or `onLoginFailed(cause)` follows.

        Another user is logged out first. The same user again, while registered, changes nothing.

        Args:
            username: the endpoint's username.
            password: the endpoint's password.

        Raises (when awaited):
            LoginFailed: with the SDK's word in `.cause`.
            InvalidState: this client is closed.
        """

        begin = self._while_open("login", lambda: self._endpoint.login(username, password))
        return self._operation(f"log in as {username}", begin)

    def logout(self) -> Operation[None]:
        """Hang up, unregister and close the sockets; `onLogout` follows. When logged out, only warn."""
        return self._operation("log out", self._endpoint.logout)

    def change_options(self, **keywords: Unpack[OptionKeywords]) -> None:
        """Change options while nobody is logged in, for example the server.

        Those can change that are read at each login and call: registrationDomainSocket,
        allowMultipleIncomingCalls, clientRegion, iceServers, iceTransportPolicy, loopbackCandidates, codecs,
        maxAverageBitrate, jitterMinMs, jitterMaxMs, dscp, realms, followRedirects, allowInsecure and
        keepAudio.

        Raises:
            InvalidOption: an option is unknown, cannot change, or has a wrong value; nothing is changed then.
            InvalidState: somebody is logged in, or logging in.

        Example:
            >>> import asyncio
            >>> from plivo_nb import Client
            >>> async def main():
            ...     async with Client(sound="none") as client:
            ...         client.change_options(allowMultipleIncomingCalls=True)
            ...         return client.options.allow_multiple_incoming_calls
            >>> asyncio.run(main())
            True
        """
        options = changed_options(self.options, keywords)
        self._endpoint.change_options(options)
        self.options = options

    def close(self) -> Operation[None]:
        """Log out and stop everything this client started; the last client also stops the I/O plane.

        Await it to wait until all is closed. The frames can be read afterwards.
        """
        return Operation("close the client", self._close(_current_task()))

    def send_goodbyes(self) -> None:
        """Send BYE and un-REGISTER at once, without waiting: for SIGTERM while the loop is blocked."""
        self._endpoint.send_goodbyes()

    async def _close(self, caller: asyncio.Task[Any] | None) -> None:
        if self._closed or self._engine.forked:
            return
        self._closed = True
        await self._endpoint.leave()
        for callback in list(self._at_close):
            result = callback()
            if inspect.isawaitable(result):
                await result
        await self._endpoint.end_calls()
        await self.audio.close()
        await self._emitter.close(spare=caller)
        await self._stop_operations(caller)
        self._endpoint.close()
        await self._engine.detach(self)

    def at_close(self, callback: Callable[[], Any]) -> Callable[[], None]:
        """Call `callback` when this client closes, and await what it returns if that can be awaited.

        Returns:
            A function that removes the callback.
        """
        self._at_close.append(callback)
        return lambda: self._at_close.remove(callback) if callback in self._at_close else None

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close(_current_task())

    # ------------------------------------------------------------ calls

    def call(self, number: str, extraHeaders: Mapping[str, str] | None = None) -> Operation[Call]:
        """Call a number or SIP address.

        Args:
            number: such as ``"echo"``, ``"+14155550100"`` or ``"sip:bob@phone.plivo.com"``. With Plivo, the
                endpoint's application must have an answer URL that returns a Dial element.
            extraHeaders: names ``X-PH-`` and 1-19 of [A-Za-z0-9-]; values 1-120 of [A-Za-z0-9_+()%.-].
                Others are dropped, each with a warning.

        Returns:
            An operation whose `.call` is the `Call` at once; awaiting it gives the same, once it is answered.

        Raises (when awaited):
            CallFailed: the call ended unanswered; with `.cause` and `.call_info`.
            InvalidState: not logged in, or there is a call already, or a call is ringing, or this client is
                closed.
        """
        begin = self._while_open("call", lambda: self._endpoint.call(number, extraHeaders))
        return self._call_operation(f"call {number}", begin)

    def answer(self, callUUID: str | None = None) -> Operation[Call]:
        """Answer a ringing call. An active call is hung up first, and other ringing calls are rejected.

        Args:
            callUUID: id of the call; None or an unknown id: the call that began to ring last.

        Returns:
            An operation whose `.call` is the `Call` at once; awaiting it gives the same, once it is
            confirmed.

        Raises (when awaited):
            InvalidState: no call is ringing.
            CallFailed: the caller hung up first.
        """
        begin = self._while_open("answer", lambda: self._endpoint.answer(callUUID))
        return self._call_operation("answer", begin)

    def hangup(self) -> Operation[CallInfo]:
        """End the current call: CANCEL before the answer, BYE after it. Await it for the final `CallInfo`.

        When a call is only ringing here it is rejected, with a warning.

        Raises (when awaited):
            InvalidState: there is no call.
        """
        return self._end_operation("hang up", self._while_open("hangup", self._endpoint.hangup))

    def reject(self, callUUID: str | None = None) -> Operation[CallInfo]:
        """Reject a ringing call with 486 Busy Here. Await it for the final `CallInfo`.

        Args:
            callUUID: id of the call; None or an unknown id: the call that began to ring last.

        Raises (when awaited):
            InvalidState: no call is ringing.
        """
        begin = self._while_open("reject", lambda: self._endpoint.reject(callUUID))
        return self._end_operation("reject", begin)

    def ignore(self, callUUID: str | None = None) -> Operation[CallInfo]:
        """Stop ringing here and send no final response, so that it keeps ringing for the caller.

        The call cannot be answered any more. If nothing else ends it, the caller gets 408 after 60 s.

        Args:
            callUUID: id of the call; None or an unknown id: the call that began to ring last.

        Raises (when awaited):
            InvalidState: no call is ringing.
        """

        def start() -> tuple[Coroutine[Any, Any, CallInfo], Call]:
            session = self._endpoint.ignore(callUUID)
            return _done(session.now_info()), self._call_of(session)

        return self.own(Operation.start(self._loop, "ignore", self._while_open("ignore", start)))

    # ------------------------------------------------------------ during a call

    def send_dtmf(self, digit: str) -> Operation[None]:
        """Send DTMF digits: by SIP INFO (application/dtmf-relay), or by RFC 4733 where the far end offers it.

        Args:
            digit: one or more of 0-9 * #; sent in order, 100 ms each and 70 ms apart.

        Returns:
            An operation that is done when the last digit has been sent.

        Raises (when awaited):
            InvalidState: there is no answered call, or a character is no digit; nothing is sent then.
        """
        begin = self._while_open("sendDtmf", lambda: self._endpoint.send_dtmf(digit))
        return self._operation(f"send DTMF {digit}", begin)

    sendDtmf = send_dtmf

    def mute(self) -> bool:
        """Send silence; RTP goes on. Without a call, the next one starts muted.

        Returns:
            True; False, with a warning, when this client is closed.
        """
        if self._closed:
            _logger.warning(_CLOSED.format("mute"))
            return False
        return self._endpoint.mute()

    def unmute(self) -> bool:
        """Send the microphone or source again. False, with a warning, when there is no call."""
        return self._endpoint.unmute()

    def get_peer_connection(self) -> dict[str, Any]:
        """The call's `PeerConnection`, with the names of the browsers' RTCPeerConnection.

        Returns:
            {'status': 'success', 'pc': connection} in a call, else {'status': 'called in wrong state', 'pc':
            None}.
        """
        session = self._endpoint.call_manager.active
        if session is None or not session.media.is_open:
            return {"status": "called in wrong state", "pc": None}
        return {"status": "success", "pc": PeerConnection(session)}

    getPeerConnection = get_peer_connection

    def get_call_uuid(self) -> str | None:
        """The active call's id; None without a call, or before the server has sent it."""
        session = self._endpoint.call_manager.active
        return session.uuid if session is not None else None

    getCallUUID = get_call_uuid

    def get_last_call_uuid(self) -> str | None:
        """The id of the call that was answered last, also after its end; None before the first."""
        return self._endpoint.call_manager.last_uuid

    getLastCallUUID = get_last_call_uuid

    def send_quality_feedback(self, callUUID: str, score: int, comment: FeedbackComment) -> Operation[None]:
        """Rate the quality of the current or the last call.

        Args:
            callUUID: `get_call_uuid()` or `get_last_call_uuid()`.
            score: 1 (bad) to 5 (excellent).
            comment: bad-audio, call-dropped, wrong-callerid, post-dial-delay, dtmf-not-captured,
                audio-latency, unsolicited-call, one-way-audio, no-audio or never-connected.

        Raises (when awaited):
            InvalidFeedback: another call, score or comment, or the option enableTracking is False.
        """

        def start() -> Coroutine[Any, Any, None]:
            self._endpoint.feedback(callUUID, score, comment)
            return _done(None)

        return self._operation("send feedback", start)

    sendQualityFeedback = send_quality_feedback

    # ------------------------------------------------------------ the archive

    def record_to(
        self, folder: str | os.PathLike[str], sound: bool = False, keep_days: int | None = None
    ) -> CallArchive:
        """Store every call from now on in a folder: samples, mediaMetrics events, figures and tags.

        The folder has a folder a day (UTC) and in it a file a call: an Arrow IPC stream while the call goes
        on, so that a kernel that is killed loses the last seconds at most, and Parquet after its end. Read it
        with `plivo_nb.read`. A disk that is full or gone breaks no call: `error` of what is returned and one
        line in the log say so, and storing goes on once it can.

        Args:
            folder: where; it is created if need be. For a folder of an earlier call of this method, the other
                two arguments are changed.
            sound: also record the sound of answered calls, as Opus beside their files: received left, sent
                right.
            keep_days: delete the calls in the folder that began more than so many days ago; None: keep all.

        Returns:
            The archive, with `.path` and `.error`; `close` ends it, and so does the client's `close`.

        Raises:
            MediaError: the folder cannot be written.
            InvalidState: this client is closed.
            ValueError: keep_days is negative.

        Example:
            >>> import asyncio, tempfile
            >>> import plivo_nb
            >>> from plivo_nb.testing import FakeServer
            >>> async def main(folder):
            ...     async with FakeServer() as server, server.client() as client:
            ...         client.record_to(folder)
            ...         await client.login("alice", server.password("alice"))
            ...         call = await client.call("echo")
            ...         await call.hangup()
            ...     return plivo_nb.read(folder).calls["state"].tolist()
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     asyncio.run(main(folder))
            ['ended']
        """
        from plivo_nb.call_archive import CallArchive  # late: it imports pyarrow

        if self._closed:
            raise refusal(_CLOSED.format("record_to"))
        path = Path(folder).absolute()
        archive = next((item for item in self._archives if item.path == path and not item.closed), None)
        if archive is not None:
            archive.change(sound=sound, keep_days=keep_days)
            return archive
        archive = CallArchive(self._endpoint, path, sound=sound, keep_days=keep_days)
        self._archives.append(archive)
        self.at_close(archive.close)
        return archive

    # ------------------------------------------------------------ events

    if TYPE_CHECKING:  # which callback fits which event, and what each event gives when it is awaited
        on: Subscribe
        once: Subscribe
        wait_for: WaitFor
    else:

        def on(self, name, callback=None):
            """Call `callback` at every event `name`; without a callback, a decorator.

            Args:
                name: an event; ``help(Client)`` lists all, with the arguments of their callbacks.
                callback: a function or coroutine function. An exception in it is logged and breaks nothing.

            Returns:
                The callback.

            Raises:
                ValueError: there is no event of that name.

            Example:
                >>> import asyncio
                >>> from plivo_nb.testing import FakeServer
                >>> async def main():
                ...     async with FakeServer() as server, server.client() as client:
                ...         @client.on("onCallFailed")
                ...         def failed(cause, info):
                ...             print(cause, info.code)
                ...         await client.login("alice", server.password("alice"))
                ...         client.call("busy")
                ...         await client.wait_for("onCallFailed")
                >>> asyncio.run(main())
                Busy 486
            """
            return self._emitter.on(name) if callback is None else self._emitter.on(name, callback)

        def once(self, name, callback=None):
            """Like `on`, for the next event of that name only."""
            return self._emitter.once(name) if callback is None else self._emitter.once(name, callback)

        def wait_for(self, name, timeout=None):
            """Wait for the next event of that name; events count from now on, also before this is awaited.

            Args:
                name: an event; ``help(Client)`` lists all, with their arguments.
                timeout: seconds; None: no limit.

            Returns:
                An operation. Awaiting it gives None, the event's argument, or the tuple of its arguments.

            Raises:
                ValueError: there is no event of that name.
                TimeoutError: (when awaited) the event did not come in time.
                InvalidState: (when awaited) the client was closed first.

            Example:
                >>> import asyncio
                >>> from plivo_nb.testing import FakeServer
                >>> async def main():
                ...     async with FakeServer() as server, server.client() as client:
                ...         await client.login("alice", server.password("alice"))
                ...         client.call("busy")
                ...         cause, info = await client.wait_for("onCallFailed", timeout=5)
                ...         return cause, info.code
                >>> asyncio.run(main())
                ('Busy', 486)
            """
            coming = self._emitter.next(name)
            return self.own(Operation(f"wait for {name}", _next(coming, name, timeout)))

    def off(self, name: EventName, callback: Callable[..., Any] | None = None) -> None:
        """Remove `callback` from the event `name`, or all of its callbacks.

        Raises:
            ValueError: there is no event of that name.
        """
        self._emitter.off(name, callback)

    def events(self) -> EventStream:
        """Every event from now on: ``async for event in client.events(): event.name, event.arguments``."""
        return EventStream(self._emitter)

    # ------------------------------------------------------------ sound

    @property
    def audio(self) -> AudioDevices:
        """The audio devices, such as ``client.audio.microphone_devices``, and volumes."""
        return self._endpoint.audio

    def set_ring_tone(self, tone: bool | str) -> bool:
        """Choose the ring tone of incoming calls.

        Args:
            tone: True: the built-in tone; False: none; or the URL or path of an audio file.

        Returns:
            False, with a warning, for anything else.
        """
        return self.audio.tones.choose("ring", tone)

    setRingTone = set_ring_tone

    def set_ring_tone_back(self, tone: bool | str) -> bool:
        """Choose what is played while the far end is ringing.

        Args:
            tone: True: the built-in tone, without early media (183); False: no tone, but early media, such as
                the server's ringing and announcements; a URL or path: that audio file, without early media.

        Returns:
            False, with a warning, for anything else.
        """
        return self.audio.tones.choose("ringback", tone)

    setRingToneBack = set_ring_tone_back

    def set_connect_tone(self, tone: bool) -> bool:
        """Choose whether the dial tone is played until the far end rings, answers or rejects.

        Returns:
            False, with a warning, for anything but True and False.
        """
        return self.audio.tones.choose("connect", tone)

    setConnectTone = set_connect_tone

    # ------------------------------------------------------------ state

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The client's event loop; from other threads use its `call_soon_threadsafe`."""
        return self._loop

    @property
    def username(self) -> str | None:
        """The user that is logged in or logging in, or None."""
        account = self._endpoint.account
        return account.username if account is not None else None

    @property
    def is_connected(self) -> bool:
        """True while the signalling WebSocket is open."""
        account = self._endpoint.account
        return account is not None and account.connected

    @property
    def reconnect_in_s(self) -> float | None:
        """Seconds to the next attempt to log in or to connect again.

        0 while an attempt is under way; None where there is nothing to attempt: logged in, logged out, or
        refused by the server.
        """
        account = self._endpoint.account
        return account.reconnect_in_s if account is not None else None

    @property
    def muted(self) -> bool:
        """True while muted, or when the next call will start muted."""
        return self._endpoint.call_manager.muted

    @property
    def is_logged_in(self) -> bool:
        """True while registered at the server."""
        return self._endpoint.registered

    isLoggedIn = is_logged_in

    @property
    def current_call(self) -> Call | None:
        """The call from `call` or `answer` to its end, or None."""
        session = self._endpoint.call_manager.active
        return self._call_of(session) if session is not None else None

    @property
    def incoming_calls(self) -> list[Call]:
        """The calls that are ringing here, the most recent last."""
        return [self._call_of(session) for session in self._endpoint.call_manager.ringing]

    @staticmethod
    def webrtc() -> bool:
        """True where the media stack can be loaded; right after the first `Client` it waits for that."""
        return media_stack_loads()

    webRTC = webrtc

    @property
    def version(self) -> str:
        """This package's version."""
        from plivo_nb._version import __version__

        return __version__

    @staticmethod
    def set_debug(level: DebugLevel) -> None:
        """Set the level of the `plivo_nb` logger.

        INFO shows calls and states, DEBUG details, ALL also every SIP message. Where `logging` is not
        configured, the records go to standard error; in a notebook below the cell that set the level.

        Args:
            level: OFF, ERROR, WARN, INFO, DEBUG; or ALL, which also logs every SIP message, credentials
                masked. Another value changes nothing and is warned of.
        """
        if level not in DEBUG_LEVELS:
            _logger.warning("setDebug: %r is not a level; use one of %s.", level, ", ".join(DEBUG_LEVELS))
            return
        logging.getLogger("plivo_nb").setLevel(_LEVELS[level])
        install(show_in_cell=True)

    setDebug = set_debug

    # ------------------------------------------------------------ frames

    @property
    def samples(self) -> pd.DataFrame:
        """One row per call and sample, a copy; `plivo_nb.schema("samples")` describes columns and units."""
        return self._endpoint.records.samples()

    def recent_samples(self, seconds: float) -> pd.DataFrame:
        """The rows of `samples` of the last seconds, a copy: what a plot in a loop needs.

        The time that it takes depends on the number of these rows, whereas a copy of `samples` takes longer
        with every call.

        Args:
            seconds: how far back, from now by the clock of all frames; greater than 0.

        Returns:
            The rows whose interval ended within that time, of all calls.

        Raises:
            ValueError: `seconds` is not a number greater than 0.

        Example:
            >>> import asyncio
            >>> from plivo_nb.testing import FakeServer
            >>> async def main():
            ...     async with FakeServer() as server, server.client() as client:
            ...         await client.login("alice", server.password("alice"))
            ...         await client.call("echo")
            ...         await asyncio.sleep(1.5)
            ...         return client.recent_samples(10)["mos"].dtype
            >>> asyncio.run(main())
            dtype('float64')
        """
        return self._endpoint.records.recent_samples(seconds)

    @property
    def media_metrics(self) -> pd.DataFrame:
        """Every mediaMetrics event with Plivo's keys, a copy; see `plivo_nb.schema("media_metrics")`."""
        return self._endpoint.records.media_metrics()

    @property
    def calls(self) -> pd.DataFrame:
        """One row per call that has ended, a copy; see `plivo_nb.schema("calls")`."""
        return self._endpoint.records.calls()

    def call_frames(self) -> CallFrames:
        """All calls, also those that go on, with tags, samples and events, for `plivo_nb.CallSet.of`."""
        records = self._endpoint.records
        return CallFrames.of(
            records.calls_with_tags(self._endpoint.call_manager.sessions), self.samples, self.media_metrics
        )

    def metrics(self) -> str:
        """The client's calls and their quality in Prometheus' text format, for a dashboard such as Grafana's.

        Counters of calls, warnings and packets, and histograms of MOS, round-trip time, jitter, loss, set-up
        times and the kernel's lag over all samples so far; base units (seconds, ratios). No label names a
        number, a person or a call.

        Returns:
            The text; give it with the Content-Type ``text/plain; version=0.0.4``.
        """
        from plivo_nb.analysis.prometheus import exposition  # late: it imports prometheus_client

        ongoing = len(self._endpoint.call_manager.sessions)
        return exposition(self.call_frames(), logged_in=self.is_logged_in, ongoing=ongoing)

    @property
    def log(self) -> pd.DataFrame:
        """The client's log: index `time` (UTC); columns event, call_uuid, text."""
        return self._endpoint.log.frame()

    def _log_since(self, number: int) -> tuple[int, list[Entry]]:
        """Entries of the log after the first `number`, and how many there are, for the widgets."""
        return self._endpoint.log.added, self._endpoint.log.since(number)

    @property
    def sip_trace(self) -> pd.DataFrame:
        """Every SIP message sent and received, credentials masked.

        Index `time` (UTC); columns direction (in, out), start (method, or status and reason), call (Call-ID),
        cseq, text.
        """
        return self._endpoint.trace.frame()

    @property
    def recent_log(self) -> list[str]:
        """The last 50 entries of the log, each as a short line."""
        return [f"{entry.event} {entry.text}".strip() for entry in self._endpoint.log.tail(50)]

    def ladder(self, call: Call | None = None) -> Ladder:
        """The SIP messages as a ladder diagram: a picture in a notebook, text with ``str(...)``.

        Args:
            call: the messages of this call, with the start of its media marked; None: all messages kept.
        """
        from plivo_nb.analysis.ladder import Ladder  # late: it imports matplotlib

        us = self.username or "this phone"
        if call is None:
            return Ladder(self._endpoint.trace.of(None), us=us, title="All SIP messages")
        info = call.info
        peer = info.dest if info.direction == "OUTGOING" else info.src
        messages = self._endpoint.trace.of(call.sip_call_id) if call.sip_call_id is not None else []
        them = f"server, for {peer}"
        return Ladder(messages, call.timings, us=us, them=them, title=f"SIP of the call with {peer}")

    # ------------------------------------------------------------ operations

    def own(self, operation: Operation[_T]) -> Operation[_T]:
        """Keep an operation until it is done; `close` stops those that are left."""
        self._operations.add(operation)
        operation.add_done_callback(lambda: self._operations.discard(operation))
        return operation

    def _while_open(self, method: str, begin: Callable[[], _T]) -> Callable[[], _T]:
        """`begin`, refused once this client is closed."""

        def start() -> _T:
            if self._closed:
                raise refusal(_CLOSED.format(method))
            return begin()

        return start

    def _operation(self, name: str, begin: Callable[[], Coroutine[Any, Any, _T]]) -> Operation[_T]:
        return self.own(Operation.start(self._loop, name, lambda: (begin(), None)))

    def _call_operation(
        self, name: str, begin: Callable[[], tuple[CallSession, Callable[[], Coroutine[Any, Any, None]]]]
    ) -> Operation[Call]:
        """An operation that gives the call once the coroutine function of `begin` is done."""

        def start() -> tuple[Coroutine[Any, Any, Call], Call]:
            session, work = begin()
            call = self._call_of(session)
            return _after(work, call), call

        return self.own(Operation.start(self._loop, name, start))

    def _end_operation(self, name: str, begin: Callable[[], CallSession]) -> Operation[CallInfo]:
        """An operation that gives the final `CallInfo` of the call that `begin` ends."""

        def start() -> tuple[Coroutine[Any, Any, CallInfo], Call]:
            call = self._call_of(begin())
            return call.wait_ended(), call

        return self.own(Operation.start(self._loop, name, start))

    async def _stop_operations(self, caller: asyncio.Task[Any] | None) -> None:
        """Give operations that are ending a moment to do so and stop the rest, but not the caller's own."""
        left = [item for item in self._operations if not item.done() and not item.is_task(caller)]
        if left:
            await asyncio.wait(
                [asyncio.ensure_future(item.settled()) for item in left], timeout=_CLOSE_TIMEOUT_S
            )
        for operation in left:
            operation.cancel()
            await operation.settled()

    def _call_of(self, session: CallSession) -> Call:
        call = self._calls.get(id(session))
        if call is None:
            call = self._calls[id(session)] = Call(self, session)
            session.over.add_done_callback(lambda _: self._calls.pop(id(session), None))
        return call

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "A Client cannot be copied or pickled, as it has open connections; keep its frames, such as "
            "client.samples."
        )

    def __repr__(self) -> str:
        who = f"logged in as {self.username}" if self.is_logged_in else "logged out"
        if self.is_logged_in and not self.is_connected:
            who += ", server away, reconnecting"
        call = self.current_call
        return f"<Client {who}{f', {call!r}' if call else ''}>"

    def _repr_html_(self) -> str:
        call = self.current_call
        rows = {
            "Logged in as": self.username if self.is_logged_in else "nobody",
            "Server": "connected" if self.is_connected else "not connected",
            "Call": repr(call)[1:-1] if call else "none",
            "Ringing": ", ".join(str(item.info.src) for item in self.incoming_calls) or "none",
            "Muted": "yes" if self.muted else "no",
            "Calls so far": str(len(self.calls)),
            "Last event": next(iter(self.recent_log[-1:]), "none"),
        }
        cells = "".join(
            f"<tr><th style='text-align:left'>{name}</th><td>{html.escape(str(value))}</td></tr>"
            for name, value in rows.items()
        )
        return f"<table><caption>plivo_nb Client</caption>{cells}</table>"


class Plivo:
    """The entry point of Plivo's page: ``Plivo(options).client``.

    Args:
        options: a dict with Plivo's keys; `plivo_nb.options.Options` describes each.
        keywords: options by their PEP 8 names or by Plivo's; they take precedence over the dict.

    Attributes:
        client: the `Client` made with these options.
    """

    @shows_options
    def __init__(self, options: PlivoOptions | None = None, **keywords: Unpack[OptionKeywords]) -> None:
        self.client = Client(options, **keywords)


async def _after(work: Callable[[], Coroutine[Any, Any, None]], call: Call) -> Call:
    await work()
    return call


async def _done(result: _T) -> _T:
    return result


async def _next(coming: asyncio.Future[Any], name: str, timeout: float | None) -> Any:
    await asyncio.wait([coming], timeout=timeout)
    if not coming.done():
        coming.cancel()
        raise TimeoutError(f"{name} did not come within {timeout:g} s.")
    if coming.cancelled():
        raise InvalidState(f"{name} did not come: the client was closed.")
    return coming.result()


def _current_task() -> asyncio.Task[Any] | None:
    """The running task, or None where no event loop is running: Operation raises NoRunningLoop there."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


__all__ = ["FEEDBACK_COMMENTS", "Client", "FeedbackComment", "Plivo"]
