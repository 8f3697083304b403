"""Authentication and bindings (RFC 3261 sections 22 and 10.3). Sans-I/O: the time is an argument.

As at Plivo, every REGISTER and every INVITE is challenged, and a nonce is valid for one request. So a second
challenge in a row means that the password is wrong.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from plivo_nb.lab.faults import Faults
from plivo_nb.lab.sip.addressing import user_of
from plivo_nb.sip.digest import make_challenge, parse_digest, verify
from plivo_nb.sip.values import NameAddr, parse_uri

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plivo_nb.sip.message import Request

NONCE_LIFETIME_S = 60.0
DEFAULT_EXPIRES_S = 120
MAX_EXPIRES_S = 3600
_MAX_NONCES = 10_000
_MAX_BINDINGS_PER_USER = 50

CheckResult = Literal["ok", "challenge", "stale", "forbidden"]
Algorithm = Literal["MD5", "SHA-256"]


class Random(Protocol):
    """A random number generator, as the switch uses it."""

    def getrandbits(self, k: int, /) -> int:
        """An integer with k random bits."""
        ...


@dataclass(slots=True)
class Binding:
    """A Contact of a user, and the socket that requests for it are sent to."""

    user: str
    contact: str
    socket: int
    instance: str | None
    expires_at: float
    agent: str = ""

    @property
    def key(self) -> str:
        """The key that a renewed registration has in common: the instance (RFC 5626), else the Contact."""
        return self.instance or self.contact


class Registrar:
    """Accounts, nonces and bindings.

    Args:
        accounts: user names and their passwords; not copied, so that accounts may be added.
        domain: the realm.
        random: the source of nonces.
        algorithms: the digest algorithms that are offered, in order of preference (RFC 8760 section 2.4).
        faults: the state of the faults.
    """

    def __init__(
        self,
        accounts: dict[str, str],
        domain: str,
        random: Random,
        algorithms: tuple[Algorithm, ...] = ("MD5",),
        faults: Faults | None = None,
    ) -> None:
        self.faults = faults or Faults()
        self.accounts = accounts
        self.algorithms = algorithms
        self._domain = domain
        self._random = random
        self._nonces: OrderedDict[str, float] = OrderedDict()
        self._bindings: dict[str, dict[str, Binding]] = {}

    # ------------------------------------------------------------------ authentication

    def challenges(self, now: float, *, stale: bool = False) -> list[str]:
        """Make values of WWW-Authenticate or Proxy-Authenticate with a new nonce, one for each algorithm."""
        nonce = f"{self._random.getrandbits(128):032x}"
        self._nonces[nonce] = now + NONCE_LIFETIME_S
        while len(self._nonces) > _MAX_NONCES:
            self._nonces.popitem(last=False)
        return [make_challenge(self._domain, nonce, name, "auth", stale=stale) for name in self.algorithms]

    def check(self, request: Request, header: str, now: float) -> tuple[CheckResult, str | None]:
        """Check the credentials of a request; its nonce becomes invalid.

        Args:
            request: the request.
            header: ``Authorization`` or ``Proxy-Authorization``.
            now: the time in seconds.

        Returns:
            The result and the user. ``challenge``: no or wrong credentials; ``stale``: valid credentials with
            an old nonce; ``forbidden``: valid credentials of another user than From (for REGISTER: To) names.
        """
        for value in request.headers.get_all(header):
            try:
                parameters = parse_digest(value)
            except ValueError:
                continue
            if parameters.get("realm") != self._domain:
                continue
            user = parameters.get("username", "")
            password = self.accounts.get(user)
            if password is None or not verify(value, request.method, password, None, request.body):
                continue
            expires = self._nonces.pop(parameters.get("nonce", ""), None)
            if expires is None or expires < now or self.faults.distrusts():
                return "stale", user
            claimed = request.to if request.method == "REGISTER" else request.from_
            return ("ok" if user_of(claimed.uri) == user else "forbidden"), user
        return "challenge", None

    # ------------------------------------------------------------------ bindings

    def register(self, user: str, request: Request, socket: int, now: float) -> list[Binding]:
        """Update the bindings by an authenticated REGISTER (RFC 3261 section 10.3 steps 6-8).

        Returns:
            The new and renewed bindings.

        Raises:
            ValueError: Contact or Expires is invalid. Nothing is changed.
        """
        contacts = request.contacts
        default = _expires(request.headers.get("Expires"), DEFAULT_EXPIRES_S)
        if any(contact.uri == "*" for contact in contacts):
            if len(contacts) > 1 or default != 0:
                raise ValueError("Contact * must be the only Contact, with Expires 0.")
            self._bindings.pop(user, None)
            return []
        changes = [(contact, _expires(contact.parameters.get("expires"), default)) for contact in contacts]
        agent = request.headers.get("User-Agent") or ""
        made = []
        for contact, seconds in changes:
            binding = self._binding(user, contact, socket, now + seconds, agent)
            mine = self._bindings.setdefault(user, {})
            mine.pop(binding.key, None)
            if seconds > 0:
                mine[binding.key] = binding
                made.append(binding)
            while len(mine) > _MAX_BINDINGS_PER_USER:
                del mine[next(iter(mine))]
        return made

    def bindings(self, user: str, now: float) -> list[Binding]:
        """The bindings of a user, oldest first."""
        return [binding for binding in self._bindings.get(user, {}).values() if binding.expires_at > now]

    def all_bindings(self, now: float) -> list[Binding]:
        """All bindings."""
        return [binding for user in self._bindings for binding in self.bindings(user, now)]

    def is_registered(self, socket: int, user: str | None, now: float) -> bool:
        """Whether a socket has a binding of this user, or of any user if `user` is None."""
        return any(
            binding.socket == socket and user in (None, binding.user) for binding in self.all_bindings(now)
        )

    def dropped(self, socket: int) -> list[Binding]:
        """Remove the bindings of a closed socket and return them."""
        gone = [b for mine in self._bindings.values() for b in mine.values() if b.socket == socket]
        self._remove(gone)
        return gone

    def expire(self, now: float) -> list[Binding]:
        """Remove the expired bindings and return them."""
        gone = [b for mine in self._bindings.values() for b in mine.values() if b.expires_at <= now]
        self._remove(gone)
        return gone

    def next_expiry(self) -> float | None:
        """The time when the next binding expires; None if there is none."""
        times = [b.expires_at for mine in self._bindings.values() for b in mine.values()]
        return min(times, default=None)

    def _remove(self, bindings: Iterable[Binding]) -> None:
        for binding in bindings:
            mine = self._bindings.get(binding.user, {})
            mine.pop(binding.key, None)
            if not mine:
                self._bindings.pop(binding.user, None)

    @staticmethod
    def _binding(user: str, contact: NameAddr, socket: int, expires_at: float, agent: str) -> Binding:
        parse_uri(contact.uri)
        instance = contact.parameters.get("+sip.instance")
        return Binding(user, contact.uri, socket, instance, expires_at, agent)


def _expires(value: str | None, default: int) -> int:
    if value is None:
        return default
    if not value.isascii() or not value.isdigit():
        raise ValueError(f"Expires is {value[:20]!r}, not a number of seconds.")
    return min(int(value[:9]), MAX_EXPIRES_S)
