"""Options of a client: names, types, defaults and allowed values.

Options are given as a dict with Plivo's keys (`PlivoOptions`) or as keyword arguments in PEP 8 names or
Plivo's (`OptionKeywords`). An unknown option or a wrong value gives one warning that names the option, the
value and what is allowed, and the default is used, as in the SDK; with ``strict=True`` it raises
`InvalidOption` instead.

A new option is a field of `Options`, its type in `PlivoOptions` (and in `OptionKeywords` where the PEP 8 name
differs) and its check in `_CHECKS`.
"""

from __future__ import annotations

import difflib
import inspect
import logging
import os
import re
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, Literal, Protocol, Required, TypedDict, TypeVar, get_args
from urllib.parse import urlsplit

from plivo_nb.addresses import is_loopback_url
from plivo_nb.codec_table import CODECS, DEFAULT_CODECS, CodecName
from plivo_nb.errors import InvalidOption

_logger = logging.getLogger("plivo_nb.options")

PLIVO_SERVERS = ("wss://client.plivo.com/signalling", "wss://client-fb.plivo.com/signalling")
STATS_URL = "https://stats.plivo.com/v1/browser/validate/"
INSIGHTS_URL = "wss://insights.plivo.com/ws"

DebugLevel = Literal["OFF", "ERROR", "WARN", "INFO", "DEBUG", "ALL"]
ClientRegion = Literal["usa_west", "usa_east", "australia", "europe", "asia", "south_america"]
SoundName = Literal["device", "browser", "none"]
RulePreset = Literal["v2.1", "sdk-2.2"]
IceTransportPolicy = Literal["all", "relay"]
DEBUG_LEVELS: tuple[DebugLevel, ...] = get_args(DebugLevel)
REGIONS: tuple[ClientRegion, ...] = get_args(ClientRegion)
_F = TypeVar("_F", bound=Callable[..., Any])


class AudioConstraints(TypedDict, total=False):
    """The option audioConstraints: MediaTrackConstraints (W3C Media Capture and Streams) of the microphone.

    A value stands alone, or in a dict under 'exact' or 'ideal', as browsers take it. The SDK's own noise
    reduction (`noiseReduction` in the messages of the statistics service) is not available.
    """

    deviceId: str | Mapping[str, str]
    sampleRate: int | Mapping[str, int]
    channelCount: int | Mapping[str, int]
    echoCancellation: bool | Mapping[str, bool]
    noiseSuppression: bool | Mapping[str, bool]
    autoGainControl: bool | Mapping[str, bool]


CONSTRAINTS = tuple(AudioConstraints.__annotations__)


class IceServer(TypedDict, total=False):
    """A STUN or TURN server, as RTCIceServer (W3C WebRTC) describes it."""

    urls: Required[str | Sequence[str]]
    username: str
    credential: str


class OwnRule(Protocol):
    """A rule for mediaMetrics: a `Rule`, `SpanRule` or `EventRule` of `plivo_nb.quality.rules`."""

    @property
    def type(self) -> str: ...


class OwnSoundSystem(Protocol):
    """Where the devices come from, such as `plivo_nb.testing.FakeSound`."""

    @property
    def open_input(self) -> Callable[..., Any]: ...

    @property
    def open_output(self) -> Callable[..., Any]: ...


class PlivoOptions(TypedDict, total=False):
    """Options by Plivo's keys, for ``Plivo({...})`` and ``Client({...})``; `Options` says what each does."""

    debug: DebugLevel
    permOnClick: bool
    audioConstraints: AudioConstraints
    enableTracking: bool
    dscp: bool
    allowMultipleIncomingCalls: bool
    clientRegion: ClientRegion | None
    preDetectOwa: bool
    registrationDomainSocket: Sequence[str]
    iceServers: Sequence[IceServer]
    iceTransportPolicy: IceTransportPolicy
    iceGatheringTimeout: float
    loopbackCandidates: bool
    jitterMinMs: float
    jitterMaxMs: float
    sampleInterval: float
    rules: RulePreset | Iterable[OwnRule]
    codecs: Sequence[CodecName]
    maxAverageBitrate: int
    statsUrl: str
    insightsUrl: str
    sound: SoundName | OwnSoundSystem | None
    realms: Sequence[str]
    followRedirects: bool
    caFile: str | os.PathLike[str] | None
    allowInsecure: bool
    keepAudio: float
    strict: bool


class OptionKeywords(PlivoOptions, total=False):
    """Options as keyword arguments: Plivo's keys and their PEP 8 names."""

    perm_on_click: bool
    audio_constraints: AudioConstraints
    enable_tracking: bool
    allow_multiple_incoming_calls: bool
    client_region: ClientRegion | None
    pre_detect_owa: bool
    registration_domain_socket: Sequence[str]
    ice_servers: Sequence[IceServer]
    ice_transport_policy: IceTransportPolicy
    ice_gathering_timeout: float
    loopback_candidates: bool
    jitter_min_ms: float
    jitter_max_ms: float
    sample_interval: float
    max_average_bitrate: int
    stats_url: str
    insights_url: str
    follow_redirects: bool
    ca_file: str | os.PathLike[str] | None
    allow_insecure: bool
    keep_audio: float


@dataclass(frozen=True, slots=True)
class Options:
    """All options of one client, checked. Field names are PEP 8; `to_dict` gives Plivo's keys.

    Durations are seconds except where the name says ms; `max_average_bitrate` is bit/s.

    Attributes:
        debug: level of the logger `plivo_nb`: OFF, ERROR, WARN, INFO, DEBUG; ALL also logs every SIP message,
            with credentials masked.
        perm_on_click: open the microphone only just before a call connects, not when the client is made.
        audio_constraints: constraints of the microphone: deviceId, sampleRate, channelCount,
            echoCancellation, noiseSuppression, autoGainControl.
        enable_tracking: track call quality: mediaMetrics events, and the statistics service.
        dscp: mark media packets for Expedited Forwarding (DSCP 46).
        allow_multiple_incoming_calls: let several calls ring, also during a call; False: they get 486 Busy
            Here.
        client_region: usa_west, usa_east, australia, europe, asia or south_america; sent as the header
            X-ClientRegion of each INVITE.
        pre_detect_owa: warn when the microphone is lost, before and during a call.
        registration_domain_socket: wss:// URLs of the signalling servers, tried in turn; also ws:// for
            servers on this machine. A wrong address makes the login fail.
        ice_servers: STUN and TURN servers: {'urls': ..., 'username': ..., 'credential': ...}.
        ice_transport_policy: 'all'; or 'relay': media passes a TURN server of `ice_servers` only, and the
            other side is not told our addresses.
        ice_gathering_timeout: seconds to wait for the ICE candidates of these servers.
        loopback_candidates: offer 127.0.0.1 too, for a lab on this machine.
        jitter_min_ms: minimum delay of the jitter buffer.
        jitter_max_ms: maximum delay of the jitter buffer.
        sample_interval: seconds between two rows of `Client.samples`.
        rules: rules of the mediaMetrics events: 'v2.1' (the documentation), 'sdk-2.2' (the published
            packages), or a list of rules of your own.
        codecs: among 'OPUS', 'PCMU' and 'PCMA', in order of preference. Plivo's own SDK as the other side
            refuses an offer of more than two.
        max_average_bitrate: average bit rate of Opus at most, bit/s.
        stats_url: URL of the statistics service. While this or the next option has Plivo's address, the
            service is contacted for calls through Plivo's own servers only, not for those in a lab or a
            private server. A wrong address turns the statistics off.
        insights_url: URL of the statistics service's WebSocket.
        sound: 'device' (microphone and speaker of the kernel's machine), 'browser' (those of the page that
            displays the phone; it needs https or localhost), 'none', or a sound system such as
            `plivo_nb.testing.FakeSound`; None: 'device' where there is one, else 'browser' as soon as a page
            displays a phone, until then 'none'.
        realms: more digest realms (RFC 3261 section 22) in which the server may ask for the password during a
            call.
        follow_redirects: follow a SIP 3xx to another host or scheme; else the call fails with 'Redirected'.
        ca_file: path of a PEM file with the certificates of more authorities to trust, such as a private one.
        allow_insecure: allow ws:// and http:// also to other machines. Whoever is on the way can then read
            and change everything.
        keep_audio: seconds of each call's audio that are kept for `Call.audio`. A second of both directions
            takes 192 kB with Opus and 32 kB with PCMU, so the default takes at most 23 MB a call. All calls
            of the kernel together keep at most 64 MB; the audio of the oldest calls is dropped first.
        strict: raise `InvalidOption` for an unknown option or a wrong value, instead of a warning.
    """

    debug: DebugLevel = "INFO"
    perm_on_click: bool = False
    audio_constraints: Mapping[str, Any] = field(default_factory=dict)
    enable_tracking: bool = True
    dscp: bool = True
    allow_multiple_incoming_calls: bool = False
    client_region: ClientRegion | None = None
    pre_detect_owa: bool = False
    registration_domain_socket: tuple[str, ...] = PLIVO_SERVERS
    ice_servers: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    ice_transport_policy: IceTransportPolicy = "all"
    ice_gathering_timeout: float = 2.0
    loopback_candidates: bool = False
    jitter_min_ms: float = 20.0
    jitter_max_ms: float = 200.0
    sample_interval: float = 1.0
    rules: Any = "v2.1"
    codecs: tuple[str, ...] = DEFAULT_CODECS
    max_average_bitrate: int = 48_000
    stats_url: str = STATS_URL
    insights_url: str = INSIGHTS_URL
    sound: Any = None
    realms: tuple[str, ...] = ()
    follow_redirects: bool = False
    ca_file: str | None = None
    allow_insecure: bool = False
    keep_audio: float = 120.0
    strict: bool = False
    #: Why each server address that was given is not used, by the option's name. No option itself.
    refused_addresses: Mapping[str, str] = field(default_factory=dict, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """All options by Plivo's keys."""
        return {plivo_key(name): getattr(self, name) for name in _CHECKS}


def plivo_key(name: str) -> str:
    """Plivo's spelling of a PEP 8 option name: ``perm_on_click`` gives ``permOnClick``."""
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _sound(value: Any) -> Any:
    names = (None, *get_args(SoundName))
    if value not in names and not all(hasattr(value, name) for name in ("open_input", "open_output")):
        raise ValueError
    return value


def _one_of(*allowed: Any) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value not in allowed:
            raise ValueError
        return value

    return check


def _number(low: float, high: float) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise ValueError
        return float(value)

    return check


def _integer(low: int, high: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError
        return value

    return check


def _url(*schemes: str) -> Callable[[Any], str]:
    pattern = re.compile(rf"(?:{'|'.join(schemes)})://[^\s/]+(?:/\S*)?")

    def check(value: Any) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError
        return value

    return check


def _servers(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not value:
        raise ValueError
    check = _url("ws", "wss")
    return tuple(check(item) for item in value)


def _realms(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not all(isinstance(item, str) and item for item in value):
        raise ValueError
    return tuple(value)


def _ca_file(value: Any) -> str | None:
    if value is None:
        return None
    path = os.fspath(value)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=path)
    except OSError as error:
        raise ValueError from error
    return str(path)


def _codecs(value: Any) -> tuple[str, ...]:
    names = tuple(str(item).upper() for item in value) if not isinstance(value, str) else ()
    if not names or any(name not in CODECS for name in names) or len(set(names)) != len(names):
        raise ValueError
    return names


def _ice_servers(value: Any) -> tuple[Mapping[str, Any], ...]:
    if isinstance(value, (str, Mapping)):
        raise ValueError
    servers = tuple(value)
    for server in servers:
        urls = server.get("urls") if isinstance(server, Mapping) else None
        urls = [urls] if isinstance(urls, str) else urls
        if not urls or not all(re.match(r"(stuns?|turns?):\S+", str(url)) for url in urls):
            raise ValueError
    return servers


def _constraints(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or any(key not in CONSTRAINTS for key in value):
        raise ValueError
    return dict(value)


def _rules(value: Any) -> Any:
    if isinstance(value, str) and value not in get_args(RulePreset):
        raise ValueError
    return value


# PEP 8 name: (check, what is allowed in words)
_CHECKS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "debug": (_one_of(*DEBUG_LEVELS), f"one of {', '.join(DEBUG_LEVELS)}"),
    "perm_on_click": (_bool, "True or False"),
    "audio_constraints": (_constraints, f"a dict with keys among {', '.join(CONSTRAINTS)}"),
    "enable_tracking": (_bool, "True or False"),
    "dscp": (_bool, "True or False"),
    "allow_multiple_incoming_calls": (_bool, "True or False"),
    "client_region": (_one_of(None, *REGIONS), f"None or one of {', '.join(REGIONS)}"),
    "pre_detect_owa": (_bool, "True or False"),
    "registration_domain_socket": (_servers, "a list of ws:// or wss:// URLs"),
    "ice_servers": (_ice_servers, "a list of {'urls': 'stun:…' or 'turn:…', 'username', 'credential'}"),
    "ice_transport_policy": (_one_of("all", "relay"), "'all' or 'relay'"),
    "ice_gathering_timeout": (_number(0.05, 30), "seconds, 0.05 to 30"),
    "loopback_candidates": (_bool, "True or False"),
    "jitter_min_ms": (_number(0, 1000), "milliseconds, 0 to 1000"),
    "jitter_max_ms": (_number(20, 2000), "milliseconds, 20 to 2000"),
    "sample_interval": (_number(0.1, 60), "seconds, 0.1 to 60"),
    "rules": (_rules, "'v2.1', 'sdk-2.2', or rules of your own"),
    "codecs": (_codecs, f"a list of names among {', '.join(CODECS)}, in order of preference"),
    "max_average_bitrate": (_integer(6_000, 510_000), "bit/s, 6000 to 510000"),
    "stats_url": (_url("http", "https"), "an http:// or https:// URL"),
    "insights_url": (_url("ws", "wss"), "a ws:// or wss:// URL"),
    "sound": (_sound, "'device', 'browser', 'none', or a sound system such as plivo_nb.testing.FakeSound"),
    "realms": (_realms, "a list of texts"),
    "follow_redirects": (_bool, "True or False"),
    "ca_file": (_ca_file, "the path of a PEM file with certificates"),
    "allow_insecure": (_bool, "True or False"),
    "keep_audio": (_number(0, 3600), "seconds of each call's sound kept for Call.audio, 0 to 3600"),
    "strict": (_bool, "True or False"),
}
# The addresses of servers that get the password, and what happens where one is refused.
_ADDRESSES = {
    "registration_domain_socket": "No server is used: the login will fail.",
    "stats_url": "The statistics service is not used.",
    "insights_url": "The statistics service is not used.",
}
#: The PEP 8 name of each option, by that name and by Plivo's key.
OPTION_NAMES = {plivo_key(name): name for name in _CHECKS} | {name: name for name in _CHECKS}


def shows_options(function: _F) -> _F:
    """A decorator: the run-time signature names each option where the function takes ``**keywords`` of them.

    Type checkers read `OptionKeywords`; `help` and completion with Tab read the signature.
    """
    signature = inspect.signature(function)
    given = [item for item in signature.parameters.values() if item.kind is not item.VAR_KEYWORD]
    options = [
        inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=_default(item))
        for item in fields(Options)
        if item.name in _CHECKS
    ]
    vars(function)["__signature__"] = signature.replace(parameters=[*given, *options])
    return function


def _default(item: Any) -> Any:
    return item.default if item.default is not MISSING else item.default_factory()


def read_options(options: Mapping[str, Any] | None, keywords: Mapping[str, Any]) -> Options:
    """Check options given as a dict and as keyword arguments, in either spelling; keywords take precedence.

    A server address that is wrong or not secure is not replaced by the default, which is Plivo's: it is left
    out, and `Options.refused_addresses` says why.

    Raises:
        InvalidOption: with ``strict=True``, for an unknown option or a wrong value.
    """
    given = {**(options or {}), **keywords}
    strict = given.get("strict") is True
    values: dict[str, Any] = {}
    refused: dict[str, str] = {}
    for key, value in given.items():
        name = OPTION_NAMES.get(key)
        if name is None:
            _refuse(f"There is no option {key!r}{_nearest(key)}", f"{key!r} is ignored.", strict)
            continue
        check, allowed = _CHECKS[name]
        try:
            values[name] = check(value)
        except (ValueError, TypeError, AttributeError):
            if name in _ADDRESSES:
                refused[name] = f"Option {key} cannot be {_shown_address(value)}; allowed: {allowed}."
                continue
            shown = "(not shown)" if name == "ice_servers" else repr(value)
            _refuse(f"Option {key} cannot be {shown}; allowed: {allowed}.", "The default is used.", strict)
    if not values.get("allow_insecure"):
        refused |= _insecure_addresses(values)
    for name, sentence in refused.items():
        values[name] = () if name == "registration_domain_socket" else ""
        _refuse(sentence, _ADDRESSES[name], strict)
    return Options(**values, refused_addresses=refused)


#: The options that are read at each login and call, so that they can change while nobody is logged in.
CHANGEABLE = frozenset({
    "registration_domain_socket", "allow_multiple_incoming_calls", "client_region", "ice_servers",
    "ice_transport_policy", "loopback_candidates", "codecs", "max_average_bitrate", "jitter_min_ms",
    "jitter_max_ms", "dscp", "realms", "follow_redirects", "allow_insecure", "keep_audio",
})  # fmt: skip


def changed_options(options: Options, keywords: Mapping[str, Any]) -> Options:
    """The options with some of `CHANGEABLE` replaced.

    Raises:
        InvalidOption: an option is unknown, cannot change, or has a wrong value.
    """
    names = {OPTION_NAMES.get(key, key) for key in keywords}
    for name in sorted(names - CHANGEABLE):
        if name in _CHECKS:
            raise InvalidOption(f"Option {plivo_key(name)} cannot change; make a new Client with it.")
    checked = read_options({"allow_insecure": options.allow_insecure, "strict": True}, keywords)
    refused = {name: why for name, why in options.refused_addresses.items() if name not in names}
    values = {name: getattr(checked, name) for name in names}
    return replace(options, **values, refused_addresses=refused)


def _insecure_addresses(values: Mapping[str, Any]) -> dict[str, str]:
    """The addresses at which the password would leave this machine unencrypted, each with a sentence."""
    found = {}
    for name in _ADDRESSES:
        urls = values.get(name, ())
        for url in (urls,) if isinstance(urls, str) else urls:
            if urlsplit(url).scheme in ("ws", "http") and not is_loopback_url(url):
                found[name] = (
                    f"Option {plivo_key(name)}: {_shown_address(url)} leads to another machine without "
                    "encryption; use wss:// or https://, or allowInsecure=True in a network that you trust."
                )
    return found


def _shown_address(value: Any) -> str:
    """The value as text, without a password in the URL."""
    return re.sub(r"//[^/@\s]*@", "//***@", repr(value))


def _nearest(key: Any) -> str:
    """The nearest option's name, in the spelling that was used; all names where none is near."""
    near = difflib.get_close_matches(str(key), OPTION_NAMES, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(map(plivo_key, _CHECKS))}."


def _refuse(sentence: str, instead: str, strict: bool) -> None:
    if strict:
        raise InvalidOption(sentence)
    _logger.warning("%s %s", sentence, instead)
