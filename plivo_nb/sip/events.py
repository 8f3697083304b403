"""The events of the user agent, read with `UserAgent.events()`. They are frozen.

Every event about a call has `.call`, the opaque key that `invite` returned or `InviteReceived` brought. An
outgoing call ends in exactly one of `CallFailed` (never answered) or `Ended` (after `Answered`); an
incoming one in exactly one of `Canceled`, `NoAnswer`, `Rejected` or `Ended`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from plivo_nb.sip.values import Reason

Originator = Literal["local", "remote", "system"]
HeaderList = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Registered:
    """The server has our binding for `expires_s` seconds. `refreshed`: it was registered before."""

    expires_s: float
    refreshed: bool = False


@dataclass(frozen=True, slots=True)
class Unregistered:
    """The binding was removed on our request, or there was none."""


@dataclass(frozen=True, slots=True)
class RegistrationFailed:
    """The server refused our registration, or the binding ran out and could not be renewed in time.

    `code` is the SIP status, None where the transport failed; `cause_text` the SDK's word for it. `refused`:
    by a response that no other server is to be asked after.
    """

    code: int | None
    cause_text: str
    reason: str
    refused: bool = True


@dataclass(frozen=True, slots=True)
class ServerFailed:
    """The server cannot serve us now: use another one.

    It refused a REGISTER with a 5xx, 408, 430 or 480 (`code`), did not answer a REGISTER or OPTIONS in time
    (408, `silent`), or the connection was lost meanwhile (None). `retry_after_s`: how long it asks to be left
    alone.
    """

    code: int | None
    reason: str
    retry_after_s: float | None = None
    silent: bool = False


@dataclass(frozen=True, slots=True)
class ChallengeIgnored:
    """A request was challenged with this status in a realm that gets no credentials of ours then."""

    method: str
    status: int
    realm: str


@dataclass(frozen=True, slots=True)
class InviteReceived:
    """An INVITE was received. A `100 Trying` is queued; answer with ring, accept or reject."""

    call: str
    caller: str
    caller_uri: str
    display_name: str
    to_uri: str
    headers: HeaderList
    body: bytes
    x_call_uuid: str | None


@dataclass(frozen=True, slots=True)
class Progress:
    """A provisional response other than 100 to our INVITE; `to_tag` names the branch of a forked call."""

    call: str
    code: int
    reason: str
    body: bytes
    headers: HeaderList
    x_call_uuid: str | None
    to_tag: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """A 2xx to our INVITE; its ACK is queued already. `to_tag` names the branch of a forked call."""

    call: str
    body: bytes
    headers: HeaderList
    x_call_uuid: str | None
    to_tag: str = ""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The ACK to our 2xx. `body` is the answer where our 2xx carried the offer."""

    call: str
    body: bytes


@dataclass(frozen=True, slots=True)
class CallFailed:
    """Our INVITE ended without an answer.

    `originator`: 'remote' for a response (`code` is its status), 'local' for our own hang-up (487),
    'system' where nobody answered in time (408) or the transport was lost (None).
    `contact`: the URI that a 3xx names, which was not followed.
    """

    call: str
    code: int | None
    reason: str
    headers: HeaderList
    protocol_reason: Reason | None
    originator: Originator
    x_call_uuid: str | None
    contact: str | None = None


@dataclass(frozen=True, slots=True)
class Canceled:
    """The caller canceled an incoming call before our answer."""

    call: str
    protocol_reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Our timer ended an incoming call that was not answered: 408, or 487 where the INVITE expired."""

    call: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """We refused an incoming call; the response is queued."""

    call: str
    code: int


@dataclass(frozen=True, slots=True)
class Ended:
    """An answered call is over: a BYE from either side, or the dialog failed ('system')."""

    call: str
    originator: Originator
    code: int | None
    reason: str
    protocol_reason: Reason | None


@dataclass(frozen=True, slots=True)
class ReinviteReceived:
    """The other side offers a change of the session. Answer with accept_reinvite or reject_reinvite."""

    call: str
    body: bytes


@dataclass(frozen=True, slots=True)
class ReinviteAnswered:
    """Our offer during a call was accepted; `body` is the answer."""

    call: str
    body: bytes


@dataclass(frozen=True, slots=True)
class ReinviteFailed:
    """Our offer during a call was refused; the session does not change."""

    call: str
    code: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class InfoReceived:
    """An INFO in a call, answered with 200."""

    call: str
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class InfoAnswered:
    """The final response to an INFO of ours; None where there was none."""

    call: str
    code: int | None


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A MESSAGE, answered with 200. `sender` is the From URI."""

    sender: str
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class RequestAnswered:
    """A 2xx to a MESSAGE or OPTIONS of ours; `request` is the key that the method returned."""

    request: str
    method: str
    code: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class RequestFailed:
    """Another final response to a MESSAGE or OPTIONS of ours; `code` is None where there was none."""

    request: str
    method: str
    code: int | None
    reason: str


Event = (
    Registered
    | Unregistered
    | RegistrationFailed
    | ServerFailed
    | ChallengeIgnored
    | InviteReceived
    | Progress
    | Answered
    | Confirmed
    | CallFailed
    | Canceled
    | NoAnswer
    | Rejected
    | Ended
    | ReinviteReceived
    | ReinviteAnswered
    | ReinviteFailed
    | InfoReceived
    | InfoAnswered
    | MessageReceived
    | RequestAnswered
    | RequestFailed
)
