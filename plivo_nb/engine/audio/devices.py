"""`client.audio`: which microphone, speaker and ring-tone device a client uses."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from plivo_nb.engine.audio.call_audio import CallAudio
from plivo_nb.engine.audio.tones import Player, Tones
from plivo_nb.engine.audio.webrtc_transport import WebRtcTransport
from plivo_nb.errors import MediaError
from plivo_nb.media.audio.tones import DtmfTones
from plivo_nb.operation import Operation
from plivo_nb.sound.browser_sound import BrowserSound
from plivo_nb.sound.comm_transport import CommTransport
from plivo_nb.sound.device_manager import managers
from plivo_nb.sound.devices import NOT_FOUND, Device
from plivo_nb.sound.microphone import InputRoute, Microphone
from plivo_nb.sound.speaker import OutputRoute

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from plivo_nb.engine.call_session import CallSession
    from plivo_nb.engine.engine import Engine
    from plivo_nb.options import Options
    from plivo_nb.sound.device_manager import DeviceChange, DeviceManager
    from plivo_nb.sound.page_transport import MakeTransport, PageLink, PageTransport, TransportName
    from plivo_nb.sound.route import DeviceRoute, RouteState

_logger = logging.getLogger("plivo_nb.sound")
_T = TypeVar("_T")

_KINDS = {"input": "audioinput", "output": "audiooutput"}
_UNSUPPORTED = ("echoCancellation", "noiseSuppression", "autoGainControl")
_CLOSE_S = 1.0
_TEST_TONE_S = 0.25  # of each of its three tones
_MIN_RATE_HZ, _MAX_RATE_HZ = 8_000, 192_000
_NO_SOUND = "This client has no sound: it was made with sound='none', or is closed."


class DeviceChoice:
    """One of `microphone_devices`, `speaker_devices` and `ringtone_devices`.

    Args:
        name: for its repr.
        audio: the devices of the client.
        route: the route to the device.
        players: what `media` returns.
    """

    def __init__(
        self, name: str, audio: AudioDevices, route: DeviceRoute, players: dict[str, Player]
    ) -> None:
        self._name = name
        self._audio = audio
        self._route = route
        self._players = players
        self._choosing: tuple[Operation[None], str | None] | None = None
        self._test_tone = (
            Player("the test tone", route, lambda: DtmfTones("159", _TEST_TONE_S))
            if isinstance(route, OutputRoute)
            else None
        )

    def set(self, device_id: str) -> Operation[None]:
        """Use this device from now on, also in a call that is going on.

        Args:
            device_id: a `deviceId` of `AudioDevices.available_devices`.

        Raises (when awaited):
            MediaError: ``NotFoundError``: there is no such device; nothing is changed.
        """
        return self._choose(str(device_id))

    def get(self) -> str | None:
        """The id of the chosen device, at once after `set`; None while the system's default is used."""
        return self._route.chosen if self._choosing is None else self._choosing[1]

    def reset(self) -> Operation[None]:
        """Use the system's default device again."""
        return self._choose(None)

    def _choose(self, device_id: str | None) -> Operation[None]:
        operation = self._audio.choose(self._route, device_id)
        operation.add_done_callback(self._audio.tell_change)
        if not operation.done() and self._audio.may_have(self._route, device_id):
            self._choosing = choosing = (operation, device_id)
            operation.add_done_callback(lambda: self._chosen(choosing))
        return operation

    def _chosen(self, choosing: tuple[Operation[None], str | None]) -> None:
        """The device is in use, or was refused: the route knows which one is chosen."""
        if self._choosing is choosing:
            self._choosing = None

    def media(self, source: str) -> Player:
        """The player of a sound.

        Args:
            source: ``"dtmf"`` or ``"ringback"``.

        Raises:
            ValueError: another source.
        """
        if source not in self._players:
            raise ValueError(f"media takes 'dtmf' or 'ringback', not {source!r}.")
        return self._players[source]

    def play_test_tone(self) -> None:
        """Play three short tones on this speaker, also during a call; from the beginning if they are playing.

        Raises:
            MediaError: ``NotFoundError``: there is no sound device.
            ValueError: this is the microphone.
        """
        if self._test_tone is None:
            raise ValueError("The microphone plays no test tone; use the speaker or the ring-tone device.")
        self._audio.check_sound()
        self._test_tone.pause()
        self._test_tone.play()

    def __repr__(self) -> str:
        return f"<DeviceChoice of the {self._name}: {self._audio.label_of(self.get())}>"


class AudioDevices:
    """The sound devices and tones of one client.

    Args:
        engine: its loop is used.
        options: sound, permOnClick and audioConstraints are read.
        emit: fires an event of the client.
        on_microphone: called with ``lost`` and ``present``.
    """

    def __init__(
        self,
        engine: Engine,
        options: Options,
        emit: Callable[..., None],
        on_microphone: Callable[[str], None],
    ) -> None:
        self._engine = engine
        self._options = options
        self._emit = emit
        self._on_microphone = on_microphone
        self._operations: set[Operation[Any]] = set()
        self._at_change: list[Callable[[], Any]] = []
        self._permission_reported = False
        self._no_microphone: MediaError | None = None
        self._closed = False
        self._link: PageLink | None = None
        self._browser: BrowserSound | None = None
        self._silent_calls: list[CallSession] = []  # those without microphone and speaker
        if options.sound == "browser":
            self._browser = self._browser_sound()
        self._manager: DeviceManager | None = managers.acquire(self._browser or options.sound)
        self.input_route = InputRoute(self._wake, self._input_state)
        self.speaker_route = OutputRoute(self._wake)
        self.ringtone_route = OutputRoute(self._wake)
        self.speaker_route.page = self.ringtone_route.page = self._browser
        self.tones = Tones(engine, self.speaker_route, self.ringtone_route, on=self._manager is not None)
        players = self.tones.players
        self._microphone_devices = DeviceChoice("microphone", self, self.input_route, players)
        self._speaker_devices = DeviceChoice("speaker", self, self.speaker_route, players)
        self._ringtone_devices = DeviceChoice("ring-tone device", self, self.ringtone_route, players)
        if self._browser is None:
            self._constrain()
        if self._manager is not None:
            self._add_routes(self._manager)
            engine.spawn(self._prepare(), "sound")
        elif options.sound == "none" and not options.perm_on_click:
            engine.loop.call_soon(self._report_permission, None)  # the user chose silence as the source

    # ------------------------------------------------------------ for users

    @property
    def mode(self) -> str:
        """Where this client's sound goes: 'device', 'browser' or 'none' ('none' also without devices).

        With 'browser', `transport` tells how it goes to the page, and `page_rtt_ms` how long that takes.
        """
        if self._browser is not None:
            return "browser"
        return "none" if self._manager is None or self._manager.error is not None else "device"

    @property
    def transport(self) -> TransportName | None:
        """How the sound of a page goes to the kernel and back: 'webrtc', 'comm' (messages) or None."""
        return None if self._browser is None else self._browser.transport

    @property
    def page_rtt_ms(self) -> float:
        """Round-trip time between the page and the kernel, ms; NaN without a page or before it is known."""
        return math.nan if self._browser is None else self._browser.rtt_ms

    @property
    def page_underruns(self) -> float:
        """How many gaps the sound between page and kernel has had; NaN where it goes to no page."""
        return math.nan if self._browser is None else float(self._browser.underruns)

    @property
    def ring_tone(self) -> bool | str:
        """The ring tone of incoming calls: True: the built-in one; False: none; or the path of a file."""
        return self.tones.chosen("ring")

    def available_devices(self, filter: Literal["input", "output"] | None = None) -> Operation[list[Device]]:
        """List the microphones and speakers; await it for the list.

        Args:
            filter: ``"input"``, ``"output"``, or None for both.

        Returns:
            Objects with `deviceId`, `kind` (audioinput or audiooutput), `label` and `groupId`. An empty
            list where there is no sound.

        Raises:
            ValueError: another filter.
        """
        if filter is not None and filter not in _KINDS:
            raise ValueError(f"available_devices takes 'input', 'output' or None, not {filter!r}.")
        return self._operation("list the audio devices", partial(self._available, filter))

    availableDevices = available_devices

    async def _available(self, filter: str | None) -> list[Device]:
        if self._manager is None:
            return []
        try:
            devices = await self._ask(self._manager.devices)
        except MediaError:
            return []
        return [device for device in devices if filter is None or device.kind == _KINDS[filter]]

    def reveal_audio_devices(self, arg: str | None = None) -> Operation[str | Microphone]:
        """Open the microphone once, as a browser must before it shows labels.

        Args:
            arg: ``"returnStream"``: leave it open and return the stream.

        Returns:
            When awaited ``"success"``; with ``"returnStream"`` a source of sound, open at 48 kHz until its
            `stop` is called, which can be read or be given to `Call.play`.

        Raises (when awaited):
            MediaError: ``.code`` is NotFoundError or NotAllowedError.
        """
        return self._operation("reveal the audio devices", partial(self._reveal, arg))

    revealAudioDevices = reveal_audio_devices

    async def _reveal(self, arg: str | None) -> str | Microphone:
        await self._try_microphone()
        if arg != "returnStream":
            return "success"
        microphone = Microphone(self.input_route)
        microphone.open(48_000)
        microphone.start()
        return microphone

    @property
    def microphone_devices(self) -> DeviceChoice:
        """Which microphone is used."""
        return self._microphone_devices

    microphoneDevices = microphone_devices

    @property
    def speaker_devices(self) -> DeviceChoice:
        """Which speaker plays the call, DTMF tones and the ring-back tone."""
        return self._speaker_devices

    speakerDevices = speaker_devices

    @property
    def ringtone_devices(self) -> DeviceChoice:
        """Which speaker plays the ring tone of incoming calls."""
        return self._ringtone_devices

    ringtoneDevices = ringtone_devices

    @property
    def volume(self) -> float:
        """Factor for what the speaker plays, but not for the ring tone; 1 by default, 0 to 16."""
        return self.speaker_route.volume

    @volume.setter
    def volume(self, volume: float) -> None:
        self.speaker_route.volume = _factor("volume", volume)
        self.tell_change()

    @property
    def input_gain(self) -> float:
        """Factor for what the microphone records; 1 by default, 0 to 16."""
        return self.input_route.gain

    @input_gain.setter
    def input_gain(self, gain: float) -> None:
        self.input_route.gain = _factor("input_gain", gain)
        self.tell_change()

    inputGain = input_gain

    @property
    def latency_ms(self) -> dict[str, float]:
        """Latency of devices and system, ms, by direction (input, output), of those that are open now."""
        routes = {"input": self.input_route.stream, "output": self.speaker_route.stream}
        return {name: 1000 * stream.latency_s for name, stream in routes.items() if stream is not None}

    def at_change(self, callback: Callable[[], Any]) -> Callable[[], None]:
        """Call `callback`, on the client's loop, after a volume, a gain or a chosen device was set.

        Returns:
            A function that removes the callback.
        """
        self._at_change.append(callback)
        return lambda: self._at_change.remove(callback) if callback in self._at_change else None

    # ------------------------------------------------------------ calls

    def tell_change(self) -> None:
        """Call the callbacks of `at_change` soon."""
        for callback in list(self._at_change):
            self._on_loop(callback)

    def check_sound(self) -> None:
        """Raise `MediaError` where this client has no sound device."""
        if self._manager is None:
            raise MediaError(_NO_SOUND, NOT_FOUND)
        if self._manager.error is not None:
            raise self._manager.error

    def follow(self, session: CallSession) -> None:
        """Connect this call with the microphone, the speaker and the tones."""
        if self._options.perm_on_click:
            session.watchers.append(self._permission_at_call)
        if self._manager is not None and self._manager.error is None:
            CallAudio(self, session)
        elif self._options.sound is None:
            self._silent_calls.append(session)
            session.over.add_done_callback(lambda _: self._forget_silent(session))

    def choose(self, route: DeviceRoute, device_id: str | None) -> Operation[None]:
        """Switch a route to a device, at once also in a call; None: the system's default."""

        async def choose() -> None:
            manager = self._manager
            if manager is None:
                raise MediaError(_NO_SOUND, NOT_FOUND)
            await self._ask(lambda: manager.choose(route, device_id))

        return self._operation("choose a device", choose)

    def may_have(self, route: DeviceRoute, device_id: str | None) -> bool:
        """False where it is already known that a route cannot be switched to this device."""
        manager = self._manager
        if manager is None or manager.error is not None:
            return False
        return device_id is None or not manager.has(route.kind) or manager.has(route.kind, device_id)

    def label_of(self, device_id: str | None) -> str:
        """How a repr shows a device: by its label, or by its id where that is not known."""
        if self._manager is None:
            return "none"
        if device_id is None:
            return "the system's default"
        return repr(self._manager.label(device_id) or device_id)

    def __repr__(self) -> str:
        if self.mode == "none":
            return "<AudioDevices: sound 'none'>"
        microphone, speaker, ringer = (
            self.label_of(choice.get())
            for choice in (self._microphone_devices, self._speaker_devices, self._ringtone_devices)
        )
        way = f", in the page by {self.transport}" if self.transport is not None else ""
        way += f", round trip {self.page_rtt_ms:.0f} ms" if math.isfinite(self.page_rtt_ms) else ""
        return f"<AudioDevices: microphone {microphone}, speaker {speaker}, ring tone on {ringer}{way}>"

    # ------------------------------------------------------------ pages

    def connect_page(self, link: PageLink) -> None:
        """Use the sound of the pages of this link: with sound='browser', or where there is no device."""
        self._link = link
        if self._browser is not None:
            self._browser.attach(link)
        elif self._no_microphone is not None and self._options.sound is None:
            self._engine.spawn(self._use_browser(), "sound of the page")

    def disconnect_page(self, link: PageLink) -> None:
        """Cease to use the pages of this link, which is being closed."""
        if self._link is link:
            self._link = None
            if self._browser is not None:
                self._browser.detach()

    def _page_transports(self) -> tuple[MakeTransport, ...]:
        """The ways to carry sound between a page and the kernel, the best first."""
        return self._webrtc, CommTransport

    def _webrtc(self, link: PageLink, page: str) -> PageTransport:
        return WebRtcTransport(self._engine, self._options, link, page)

    def _browser_sound(self) -> BrowserSound:
        return BrowserSound(
            self._options.audio_constraints,
            self._page_transports(),
            lambda error: self._on_loop(self._page_microphone_is, error),
        )

    async def _use_browser(self) -> None:
        """Replace this machine's sound system, which has no device, by that of the page."""
        if self._browser is not None or self._closed:
            return
        self._browser = browser = self._browser_sound()
        before, self._manager = self._manager, managers.acquire(browser)
        if before is not None:
            with contextlib.suppress(TimeoutError):
                closing = before.remove(self._routes, self._changed)
                await asyncio.wait_for(asyncio.wrap_future(closing), _CLOSE_S)
            managers.release(before)
        if self._closed or self._manager is None:
            return
        self._no_microphone, self._permission_reported = None, False
        self.tones.on = True
        self.speaker_route.page = self.ringtone_route.page = browser
        self._add_routes(self._manager)
        if self._link is not None:
            browser.attach(self._link)
        for session in self._silent_calls:
            CallAudio(self, session).join()
        self._silent_calls = []
        self.tell_change()

    @property
    def _routes(self) -> list[DeviceRoute]:
        return [self.input_route, self.speaker_route, self.ringtone_route]

    def _add_routes(self, manager: DeviceManager) -> None:
        manager.add(self.input_route, self._changed)
        manager.add(self.speaker_route)
        manager.add(self.ringtone_route)

    def _wake(self) -> None:
        if self._manager is not None:
            self._manager.wake()

    def _forget_silent(self, session: CallSession) -> None:
        if session in self._silent_calls:
            self._silent_calls.remove(session)

    def _page_microphone_is(self, error: MediaError | None) -> None:
        """A page has opened its microphone, or says that it may or cannot."""
        if not self._options.perm_on_click or self.input_route.wanted:
            self._report_permission(error)
        if error is None:
            self._on_microphone("present")

    # ------------------------------------------------------------ permission and changes

    async def _prepare(self) -> None:
        manager = self._manager
        try:
            if manager is None or self._browser is not None:
                return  # the page tells when the user has decided
            if not await self._ask(manager.devices):
                raise MediaError("This machine has no sound device.", NOT_FOUND)
        except MediaError as error:
            if self._options.sound is None:
                _log_once(
                    f"{error} Calls have neither microphone nor speaker; sound='none' makes that a choice."
                )
            else:
                _logger.warning("%s Calls have neither microphone nor speaker.", error)
            self._no_microphone = error
            if self._link is not None and self._options.sound is None:
                await self._use_browser()
                return
            if not self._options.perm_on_click:
                self._report_permission(error)
            return
        wanted = self.input_route.chosen
        if wanted is not None and not manager.has("audioinput", wanted):
            _logger.warning("audioConstraints: there is no microphone %r; the default one is used.", wanted)
        if not self._options.perm_on_click:
            with contextlib.suppress(MediaError):
                await self._try_microphone()

    def _permission_at_call(self, trigger: str) -> None:
        """With permOnClick the outcome is reported when a call begins; an open microphone reports itself."""
        if trigger in ("dial", "answer") and (self._no_microphone or self._options.sound == "none"):
            self._report_permission(self._no_microphone)

    async def _try_microphone(self) -> None:
        manager, browser = self._manager, self._browser
        try:
            if manager is None:
                raise MediaError(_NO_SOUND, NOT_FOUND)
            if browser is not None:
                await asyncio.wrap_future(browser.ask())
            else:
                await self._ask(lambda: manager.try_device(self.input_route))
        except MediaError as error:
            self._report_permission(error)
            raise
        self._report_permission(None)

    def _report_permission(self, error: MediaError | None) -> None:
        if self._permission_reported or self._closed:
            return
        self._permission_reported = True
        if error is None:
            self._emit("onMediaPermission", {"status": "success", "stream": True})
        else:
            self._emit("onMediaPermission", {"status": "failure", "error": error.code})

    def _input_state(self, state: RouteState, error: MediaError | None) -> None:
        """The microphone's route changed; called on the device manager's thread."""
        self._on_loop(self._microphone_is, state, error)

    def _microphone_is(self, state: RouteState, error: MediaError | None) -> None:
        match state:
            case "open" if self._browser is None:  # a page tells by itself when its user has decided
                self._report_permission(None)
                self._on_microphone("present")
            case "lost" | "failed":
                if error is not None and self._browser is None:
                    self._report_permission(error)
                self._on_microphone("lost")

    def _changed(self, change: DeviceChange) -> None:
        """A device was added or removed; called on the device manager's thread."""
        what, device = change
        self._on_loop(self._emit, "onAudioDeviceChange", {"change": what, "device": device})
        route, manager = self.input_route, self._manager
        if device.kind == "audioinput" and manager is not None and not route.wanted:
            there = manager.has(route.kind) if route.chosen is None else manager.has(route.kind, route.chosen)
            self._on_loop(self._on_microphone, "present" if there else "lost")

    def _on_loop(self, function: Callable[..., None], *arguments: Any) -> None:
        if not self._closed:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._engine.loop.call_soon_threadsafe(function, *arguments)

    def _constrain(self) -> None:
        """Apply audioConstraints, and name in one warning those that are not supported."""
        wanted = {name: _ideal(value) for name, value in self._options.audio_constraints.items()}
        if isinstance(wanted.get("deviceId"), str) and wanted["deviceId"] != "default":
            self.input_route.chosen = wanted["deviceId"]
        unsupported = [name for name in _UNSUPPORTED if wanted.get(name)]
        rate = wanted.get("sampleRate")
        if isinstance(rate, int) and _MIN_RATE_HZ <= rate <= _MAX_RATE_HZ:
            self.input_route.rate = rate
        elif rate is not None:
            unsupported.append("sampleRate")
        if wanted.get("channelCount") not in (None, 1):
            unsupported.append("channelCount")
        if unsupported:
            _logger.warning(
                "audioConstraints: %s cannot be done here; the microphone is used as it is, in mono.",
                ", ".join(unsupported),
            )

    # ------------------------------------------------------------ operations

    async def _ask(self, question: Callable[[], _T]) -> _T:
        assert self._manager is not None
        return await asyncio.wrap_future(self._manager.do(question))

    def _operation(self, name: str, work: Callable[[], Coroutine[Any, Any, _T]]) -> Operation[_T]:
        operation = Operation.start(self._engine.loop, name, lambda: (work(), None))
        self._operations.add(operation)
        operation.add_done_callback(lambda: self._operations.discard(operation))
        return operation

    async def close(self) -> None:
        """Stop the tones and close the devices of this client."""
        if self._closed:
            return
        self._closed = True
        for operation in list(self._operations):
            operation.cancel()
            await operation.settled()
        self.tones.close()
        manager, self._manager = self._manager, None
        if manager is None:
            return
        closing = manager.remove(self._routes, self._changed)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(closing), _CLOSE_S)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(managers.release(manager)), _CLOSE_S)


_logged: set[str] = set()


def _log_once(sentence: str) -> None:
    if sentence not in _logged:
        _logged.add(sentence)
        _logger.info(sentence)


def _factor(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 16:
        raise ValueError(f"{name} is a number from 0 to 16, not {value!r}.")
    return float(value)


def _ideal(value: Any) -> Any:
    """A constraint's value: bare, or in a dict with 'exact' or 'ideal' as browsers take it."""
    if isinstance(value, dict):
        return value.get("exact", value.get("ideal"))
    return value
