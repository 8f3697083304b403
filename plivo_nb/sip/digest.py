"""Digest authentication, both sides (RFC 3261 section 22, RFC 7616, RFC 8760).

The client side answers challenges: `Credentials.authorize` gives the header field for the next try. The
server side, for the lab and for tests, makes challenges and verifies the answers.

    response = H(H(user:realm:password) : nonce [: nc : cnonce : qop] : H(method:uri [: H(body)]))
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Protocol

from plivo_nb.sip.headers import FORBIDDEN
from plivo_nb.sip.values import quote, unquote

_PARAMETER = re.compile(
    r'[ \t]*+([A-Za-z0-9\-_.*]++)[ \t]*+=[ \t]*+("(?:[^"\\]++|\\.)*+"|[^\s,"]*+)[ \t]*+(?:,|$)', re.DOTALL
)
_ALGORITHMS = {
    "MD5": hashlib.md5,
    "MD5-SESS": hashlib.md5,
    "SHA-256": hashlib.sha256,
    "SHA-256-SESS": hashlib.sha256,
}
_STRENGTH = ("MD5", "MD5-SESS", "SHA-256", "SHA-256-SESS")  # the weakest first
_QUOTED = ("username", "realm", "nonce", "uri", "response", "cnonce", "opaque")


class Random(Protocol):
    """The methods of `random.Random` that the SIP core uses."""

    def getrandbits(self, k: int, /) -> int:
        """An integer of k random bits."""
        ...

    def random(self) -> float:
        """A number from 0 up to 1."""
        ...


def parse_digest(value: str) -> dict[str, str]:
    """Read the parameters of a ``Digest ...`` header value; names in lower case, values unquoted.

    Raises:
        ValueError: another scheme than Digest, or something in it is no parameter.
    """
    scheme, _, text = value.strip().partition(" ")
    if scheme.lower() != "digest":
        raise ValueError(f"The authentication scheme {scheme[:20]!r} is not Digest.")
    parameters: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _PARAMETER.match(text, position)
        if match is None:
            raise ValueError("The parameters of an authentication header cannot be read.")
        parameters.setdefault(match[1].lower(), unquote(match[2]))
        position = match.end()
    return parameters


@dataclass(frozen=True, slots=True)
class Challenge:
    """One ``WWW-Authenticate`` or ``Proxy-Authenticate`` value. Its repr does not show the nonce."""

    realm: str
    nonce: str = field(repr=False)
    algorithm: str | None = None
    qop: tuple[str, ...] = ()
    opaque: str | None = field(default=None, repr=False)
    stale: bool = False
    proxy: bool = False

    @classmethod
    def parse(cls, value: str, *, proxy: bool = False) -> Challenge:
        """Read one challenge.

        Args:
            value: the header field's value.
            proxy: it came in Proxy-Authenticate, so the answer goes into Proxy-Authorization.

        Raises:
            ValueError: it is no Digest challenge, or has no realm or nonce.
        """
        parameters = parse_digest(value)
        if "realm" not in parameters or "nonce" not in parameters:
            raise ValueError("A Digest challenge needs a realm and a nonce.")
        if any(FORBIDDEN.search(value) for value in parameters.values()):
            raise ValueError("A Digest challenge has a control character in it.")
        return cls(
            realm=parameters["realm"],
            nonce=parameters["nonce"],
            algorithm=parameters.get("algorithm"),
            qop=tuple(word.strip().lower() for word in parameters.get("qop", "").split(",") if word.strip()),
            opaque=parameters.get("opaque"),
            stale=parameters.get("stale", "").lower() == "true",
            proxy=proxy,
        )

    @property
    def usable(self) -> bool:
        """Whether the algorithm and one of the offered protections are known here."""
        return (self.algorithm or "MD5").upper() in _ALGORITHMS and (
            not self.qop or bool({"auth", "auth-int"}.intersection(self.qop))
        )

    @property
    def strength(self) -> int:
        """The rank of a usable challenge's algorithm; the strongest has the highest."""
        return _STRENGTH.index((self.algorithm or "MD5").upper())

    @property
    def header(self) -> str:
        """The name of the header field that answers it."""
        return "Proxy-Authorization" if self.proxy else "Authorization"


@dataclass(slots=True)
class Credentials:
    """A user's name and password. The repr shows neither the password nor anything made of it."""

    username: str
    password: str = field(repr=False)
    random: Random = field(repr=False)

    def authorize(
        self, challenge: Challenge, method: str, uri: str, body: bytes = b"", count: int = 1
    ) -> str:
        """Return the answer to a challenge.

        Args:
            challenge: what the server asked; it must be `usable`.
            method: of the request to be sent.
            uri: its Request-URI, letter for letter.
            body: its body; it counts only where the server offers nothing but ``auth-int``.
            count: how many requests have used this nonce, this one included.

        Returns:
            The value of the header field that `challenge.header` names.
        """
        qop = "" if not challenge.qop else "auth" if "auth" in challenge.qop else "auth-int"
        algorithm = challenge.algorithm or "MD5"
        session = algorithm.upper().endswith("-SESS")
        cnonce = f"{self.random.getrandbits(64):016x}" if qop or session else ""
        parameters = {
            "username": self.username,
            "realm": challenge.realm,
            "nonce": challenge.nonce,
            "uri": uri,
            "algorithm": algorithm,
        }
        if challenge.opaque is not None:
            parameters["opaque"] = challenge.opaque
        if qop:
            parameters |= {"qop": qop, "nc": f"{count:08x}"}
        if cnonce:
            parameters["cnonce"] = cnonce
        parameters["response"] = _response(parameters, method, self.password, body)
        return _format(parameters)


def make_challenge(
    realm: str,
    nonce: str,
    algorithm: str | None = "MD5",
    qop: str | None = "auth",
    *,
    stale: bool = False,
    opaque: str | None = None,
) -> str:
    """Make the value of a WWW-Authenticate or Proxy-Authenticate field (the server's side).

    Args:
        realm: the protection domain, here the SIP domain.
        nonce: a new unpredictable value; the caller stores it, or can compute it again.
        algorithm: MD5 or SHA-256; None omits the parameter, which means MD5.
        qop: "auth", a list such as "auth,auth-int", or None for the scheme of RFC 2069 without it.
        stale: the credentials were valid but the nonce too old, so the client need not ask its user.
        opaque: the client returns this value unchanged.
    """
    parts = [f"realm={quote(realm)}", f"nonce={quote(nonce)}"]
    if opaque is not None:
        parts.append(f"opaque={quote(opaque)}")
    if algorithm is not None:
        parts.append(f"algorithm={algorithm}")
    if qop is not None:
        parts.append(f"qop={quote(qop)}")
    if stale:
        parts.append("stale=true")
    return "Digest " + ", ".join(parts)


def verify(
    header: str, method: str, password: str, expected_nonce: str | None = None, body: bytes = b""
) -> bool:
    """Whether an Authorization value proves the password (the server's side).

    Args:
        header: the value of Authorization or Proxy-Authorization. Who: `parse_digest(header)["username"]`.
        method: of the request.
        password: the user's.
        expected_nonce: the nonce of the challenge; None accepts any.
        body: of the request, for auth-int.
    """
    try:
        parameters = parse_digest(header)
        if expected_nonce is not None and parameters["nonce"] != expected_nonce:
            return False
        expected = _response(parameters, method, password, body)
    except (ValueError, KeyError):
        return False
    return hmac.compare_digest(expected.encode(), parameters.get("response", "").lower().encode())


def _response(parameters: dict[str, str], method: str, password: str, body: bytes) -> str:
    """The digest itself (RFC 7616 section 3.4). Raises KeyError for what is missing or unknown."""
    algorithm = parameters.get("algorithm", "MD5").upper()
    make = _ALGORITHMS[algorithm]

    def hashed(*parts: str | bytes) -> str:
        data = b":".join(part if isinstance(part, bytes) else part.encode("utf-8") for part in parts)
        return make(data).hexdigest()

    nonce, qop = parameters["nonce"], parameters.get("qop", "").lower()
    secret = hashed(parameters["username"], parameters["realm"], password)
    if algorithm.endswith("-SESS"):
        secret = hashed(secret, nonce, parameters["cnonce"])
    subject = (
        hashed(method, parameters["uri"], hashed(body))
        if qop == "auth-int"
        else hashed(method, parameters["uri"])
    )
    if qop:
        return hashed(secret, nonce, parameters["nc"], parameters["cnonce"], qop, subject)
    return hashed(secret, nonce, subject)


def _format(parameters: dict[str, str]) -> str:
    return "Digest " + ", ".join(
        f"{name}={quote(value) if name in _QUOTED else value}" for name, value in parameters.items()
    )
