"""The values inside SIP header fields: lists, URIs, addresses, Via, CSeq, Reason (RFC 3261 section 25.1).

The library `sipmessage` has the types of a URI and of a CSeq. The parts of the grammar that it cannot read
(quoted commas, two quoted display names in one field, parameters such as ``+sip.instance``, IPv6 in
``received``, a last host label with a digit in it) are read here. The text is kept unchanged: a URI is sent
back exactly as it was received.

Every function raises `ValueError` with a sentence that says what is wrong; `plivo_nb.sip.message` answers
with 400.

The cost of each is linear in the length of its text: runs that no later part of an expression can take over
are possessive (``*+``), so that a failing match does not try all ways to divide them.
"""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass, field
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, TypeVar

from sipmessage import URI, CSeq, Parameters

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_QUOTED = re.compile(r'"((?:[^"\\]++|\\.)*+)"', re.DOTALL)
_PARAMETER = re.compile(
    r"[ \t]*+;[ \t]*+([A-Za-z0-9\-.!%*_+`'~]++)"
    r"(?:[ \t]*+=[ \t]*+(\"(?:[^\"\\]++|\\.)*+\"|[^\s;,\"<>]++))?+[ \t]*+"
)
_ABSOLUTE_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*+:[^\s<>\"]++")
_SIP_URI = re.compile(
    r"(?P<scheme>sips?):"
    r"(?:(?P<user>(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/#\[\]]|%[0-9A-Fa-f]{2})+)(?::(?P<password>[^@\s<>\"]*))?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9_\-.]*[A-Za-z0-9.])?)"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<parameters>(?:;[^;?\s<>\"@]++)*+)"
    r"(?P<headers>\?[^\s<>\"]*+)?+",
    re.IGNORECASE,
)
_VIA = re.compile(
    r"SIP[ \t]*+/[ \t]*+2\.0[ \t]*+/[ \t]*+(?P<transport>[A-Za-z0-9\-.!%*_+`'~]++)[ \t]++"
    r"(?P<host>\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9_\-.]++)"
    r"(?:[ \t]*+:[ \t]*+(?P<port>[0-9]{1,5}+))?+[ \t]*+(?P<rest>;.*+)?+",
    re.IGNORECASE,
)
_CSEQ = re.compile(r"([0-9]{1,10})[ \t]++([A-Za-z0-9\-.!%*_+`'~]++)")
_SPECIAL = re.compile(r'[,"<>\\]')
MAX_CSEQ = 2**31 - 1
MAX_TEL_LENGTH = 256
#: How many values one field may join by commas, and how many parameters one value may have.
MAX_VALUES = 200
_CACHED_LENGTH = 512  # longer texts are not kept: caches are bounded in bytes, too

_T = TypeVar("_T")


def _cached(read: Callable[[str], _T]) -> Callable[[str], _T]:
    """Cache the last results for short texts, which are repeated within a dialog."""
    kept = lru_cache(maxsize=512)(read)

    @wraps(read)
    def cached(value: str) -> _T:
        return kept(value) if len(value) <= _CACHED_LENGTH else read(value)

    return cached


def is_token(text: str) -> bool:
    """Return whether the text is one SIP token (RFC 3261 section 25.1)."""
    return TOKEN.fullmatch(text) is not None


def split_list(value: str) -> list[str]:
    """Split a comma-joined field, but not in quotes and angle brackets (RFC 3261 section 7.3.1).

    Raises:
        ValueError: a quote or bracket is never closed, or an element is empty.
    """
    if "," not in value:
        text = value.strip()
        return [text] if text else []
    parts: list[str] = []
    start = escaped = 0
    quoted = bracketed = False
    for match in _SPECIAL.finditer(value):
        index, char = match.start(), match[0]
        if quoted:
            if index < escaped:
                continue
            quoted, escaped = char != '"', index + 2 if char == "\\" else 0
        elif char == '"':
            quoted = True
        elif char == "<":
            bracketed = True
        elif char == ">":
            bracketed = False
        elif char == "," and not bracketed:
            parts.append(value[start:index].strip())
            start = index + 1
            if len(parts) >= MAX_VALUES:
                raise ValueError(f"A comma-joined list has more than {MAX_VALUES} elements.")
    if quoted or bracketed:
        raise ValueError("A quoted string or an angle bracket is never closed.")
    parts.append(value[start:].strip())
    if not all(parts):
        raise ValueError("A comma-joined list has an empty element.")
    return parts


def quote(text: str) -> str:
    """Make a quoted-string of any text."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote(text: str) -> str:
    """Remove the quotes and backslash escapes of a quoted-string; other text is returned unchanged."""
    if len(text) >= 2 and text[0] == '"' == text[-1]:
        return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
    return text


def parse_parameters(text: str) -> dict[str, str | None]:
    """Read ``;name=value;flag;other="quoted"``; names in lower case, values unquoted.

    Raises:
        ValueError: something in it is no parameter, or a name comes twice.
    """
    parameters: dict[str, str | None] = {}
    position = 0
    while position < len(text):
        match = _PARAMETER.match(text, position)
        if match is None:
            raise ValueError(f"Parameters cannot be read from {text[position : position + 40]!r}.")
        name, value = match[1].lower(), match[2]
        if name in parameters:
            raise ValueError(f"Parameter {name[:40]!r} comes twice.")
        if len(parameters) >= MAX_VALUES:
            raise ValueError(f"A value has more than {MAX_VALUES} parameters.")
        parameters[name] = None if value is None else unquote(value)
        position = match.end()
    return parameters


def format_parameters(parameters: dict[str, str | None]) -> str:
    """Write parameters, quoting the values that need it."""
    parts = []
    for name, value in parameters.items():
        if value is None:
            parts.append(f";{name}")
        else:
            plain = is_token(value) or re.fullmatch(r"\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f:]+", value)
            parts.append(f";{name}={value if plain else quote(value)}")
    return "".join(parts)


def parse_uri(text: str) -> URI:
    """Read a SIP, SIPS or TEL URI into the library's type, for its user, host, port and parameters.

    To hand a URI on, keep its text instead: writing the parsed form may escape it differently.

    Raises:
        ValueError: the text is none of these.
    """
    match = _SIP_URI.fullmatch(text)
    if match is None:
        scheme, _, rest = text.partition(":")
        if scheme.lower() != "tel" or len(text) > MAX_TEL_LENGTH:  # the library's expressions are not linear
            raise ValueError(f"{text[:80]!r} is not a SIP, SIPS or TEL URI.")
        try:
            return URI.parse(f"tel:{rest}")
        except TypeError:  # a parameter named self, as below
            raise ValueError(f"{text[:80]!r} has a parameter that cannot be read.") from None
    user, password, port = match["user"], match["password"], match["port"]
    if port is not None and not 0 < int(port) < 65536:
        raise ValueError(f"Port {port} of a URI is out of range.")
    data: dict[str, str | None] = {}
    for part in match["parameters"].split(";")[1:]:
        name, equals, value = part.partition("=")
        data[urllib.parse.unquote(name).lower()] = urllib.parse.unquote(value) if equals else None
    # Parameters of sipmessage 0.7 takes the names as keyword arguments, so it cannot hold one named self.
    data.pop("self", None)
    return URI(
        scheme=match["scheme"].lower(),
        host=match["host"],
        port=int(port) if port else None,
        user=urllib.parse.unquote(user) if user else None,
        password=urllib.parse.unquote(password) if password else None,
        parameters=Parameters(**data),
    )


def check_uri(text: str) -> str:
    """Return the text when it is a URI of any scheme (RFC 3986 in outline; sip, sips, tel exactly).

    Raises:
        ValueError: it is not one.
    """
    scheme = text.partition(":")[0].lower()
    if scheme in ("sip", "sips"):
        if _SIP_URI.fullmatch(text) is None:
            raise ValueError(f"{text[:80]!r} is not a SIP URI.")
    elif _ABSOLUTE_URI.fullmatch(text) is None:
        raise ValueError(f"{text[:80]!r} is not a URI.")
    return text


def check_request_uri(text: str) -> str:
    """Return the text when it may stand in a request line: a URI without header fields (section 19.1.1).

    Raises:
        ValueError: it may not.
    """
    match = _SIP_URI.fullmatch(text)
    if match is not None and match["headers"]:
        raise ValueError("A Request-URI carries no header fields.")
    return check_uri(text)


@dataclass(frozen=True, slots=True)
class NameAddr:
    """An address with display name and field parameters: From, To, Contact, Route (RFC 3261 20.10).

    `uri` is the text as received; parameter names are in lower case. Values are shared: never change one.
    """

    uri: str
    display_name: str = ""
    parameters: dict[str, str | None] = field(default_factory=dict)

    @staticmethod
    @_cached
    def parse(value: str) -> NameAddr:
        """Read one address (not a list).

        A display name that had to be quoted is taken as it stands (RFC 4475 section 3.1.2.15 allows it).

        Raises:
            ValueError: an unclosed quote or bracket, no URI.
        """
        value = value.strip()
        if value.startswith('"'):
            match = _QUOTED.match(value)
            if match is None:
                raise ValueError("The quoted display name is never closed.")
            name, rest = re.sub(r"\\(.)", r"\1", match[1], flags=re.DOTALL), value[match.end() :].lstrip()
            more, bracket, rest = rest.partition("<")
            if not bracket:
                raise ValueError("A display name is not followed by an address in angle brackets.")
            name = f"{name} {more.strip()}".strip() if more else name
        else:
            start = value.find("<")
            if start < 0:
                uri, semicolon, rest = value.partition(";")
                uri = uri.rstrip()
                if "?" in uri or "," in uri:
                    raise ValueError("A URI with a question mark or a comma needs angle brackets here.")
                return NameAddr(check_uri(uri), "", parse_parameters(semicolon + rest))
            name, rest = value[:start].strip(), value[start + 1 :]
        uri, bracket, rest = rest.partition(">")
        if not bracket:
            raise ValueError("An angle bracket is never closed.")
        return NameAddr(check_uri(uri), name, parse_parameters(rest) if rest else {})

    @property
    def tag(self) -> str | None:
        """The tag parameter, or None."""
        return self.parameters.get("tag")

    def __str__(self) -> str:
        name = f"{quote(self.display_name)} " if self.display_name else ""
        return f"{name}<{self.uri}>{format_parameters(self.parameters)}"


def parse_addresses(value: str) -> list[NameAddr]:
    """Read a comma-joined list of addresses, or ``*``.

    An element without a URI is the beginning of an unquoted display name that has a comma in it, as in
    ``Smith, John <sip:jo@x>``: it is joined to the next one.

    Raises:
        ValueError: an element is no address.
    """
    found: list[NameAddr] = []
    name: list[str] = []
    for part in split_list(value):
        if part == "*" and not name:
            found.append(NameAddr("*"))
        elif ":" not in part and "<" not in part:
            name.append(part)
        else:
            found.append(NameAddr.parse(", ".join([*name, part])))
            name.clear()
    if name:
        raise ValueError("A display name is not followed by an address in angle brackets.")
    return found


@dataclass(frozen=True, slots=True)
class Via:
    """One Via value: where a response is sent, and the transaction's branch (RFC 3261 20.42)."""

    transport: str
    host: str
    port: int | None = None
    parameters: dict[str, str | None] = field(default_factory=dict)

    @staticmethod
    @_cached
    def parse(value: str) -> Via:
        """Read one value (not a list).

        Raises:
            ValueError: it is no Via of SIP 2.0.
        """
        match = _VIA.fullmatch(value.strip())
        if match is None:
            raise ValueError(f"{value[:80]!r} is not a Via of SIP/2.0.")
        port = match["port"]
        return Via(
            match["transport"],
            match["host"],
            int(port) if port else None,
            parse_parameters(match["rest"]) if match["rest"] else {},
        )

    @property
    def branch(self) -> str | None:
        """The branch parameter, or None."""
        return self.parameters.get("branch")

    @property
    def sent_by(self) -> str:
        """Host and port of the sender, in lower case, as transaction matching needs it (section 17.2.3)."""
        return (self.host if self.port is None else f"{self.host}:{self.port}").lower()

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/2.0/{self.transport} {self.host}{port}{format_parameters(self.parameters)}"


@_cached
def parse_cseq(value: str) -> CSeq:
    """Read a CSeq value; the number must be below 2**31 (RFC 3261 section 8.1.1.5).

    Raises:
        ValueError: it is not a number and a method, or the number is too large.
    """
    match = _CSEQ.fullmatch(value)
    if match is None or int(match[1]) > MAX_CSEQ:
        raise ValueError(f"CSeq {value[:40]!r} is not a number below 2**31 and a method.")
    return CSeq(int(match[1]), match[2])


@dataclass(frozen=True, slots=True)
class Reason:
    """One value of a Reason header field: why a request or response was sent (RFC 3326)."""

    protocol: str
    cause: int | None
    text: str | None

    @classmethod
    def parse(cls, value: str) -> Reason | None:
        """Read one value. Return None if it is malformed, since a Reason is only informative."""
        protocol, semicolon, rest = value.strip().partition(";")
        try:
            parameters = parse_parameters(semicolon + rest)
        except ValueError:
            return None
        cause = parameters.get("cause")
        number = int(cause) if cause is not None and re.fullmatch(r"[0-9]{1,6}", cause) else None
        return cls(protocol.strip(), number, parameters.get("text")) if is_token(protocol.strip()) else None
