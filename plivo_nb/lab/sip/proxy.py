"""The switch's transaction-stateful proxy (RFC 3261 section 16), for WebSockets only. Sans-I/O.

    received request --> Transaction --> one Branch for each target it is forwarded to
    response of a branch --> forwarded at once (1xx, 2xx), or kept until the best failure is known

Every peer has opened a WebSocket itself, so a request is sent to a socket, never to an address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from plivo_nb.lab.sip.messages import (
    RequestFactory,
    failure_ack,
    hop_by_hop,
    next_hop,
    shift_cseq,
    transaction_key,
)
from plivo_nb.lab.sip.records import (
    Branch,
    Call,
    Happened,
    Leg,
    Media,
    Side,
    SwitchEvent,
    Transaction,
    TransactionKey,
)
from plivo_nb.lab.sip.reoffers import Reoffers
from plivo_nb.lab.sip.sdp_edits import best_candidate, with_telephone_event, without_telephone_event
from plivo_nb.media.sdp import rewrite_candidates
from plivo_nb.sip.message import Request, Response

if TYPE_CHECKING:
    from plivo_nb.lab.sip.registrar import Binding, Random

# The SDK's callee answers 408 after 60 s by itself; this timer is for callees that do not.
RING_TIMEOUT_S = 61.0
REQUEST_TIMEOUT_S = 32.0
CANCEL_TIMEOUT_S = 5.0
KEEP_DONE_S = 32.0

Sender = Callable[[int, Request | Response], None]
Emit = Callable[[SwitchEvent], None]


class Proxy:
    """Forwards requests to sockets and returns the responses.

    Args:
        host: the host of the switch, for Via and Record-Route.
        port: the port of the switch.
        media: the network between the parties; None = session descriptions are not changed.
        random: the source of branches and tags.
        send: sends a message to a socket.
        emit: takes events for the log and the status.
        secure: whether the sockets have TLS.
    """

    def __init__(
        self,
        host: str,
        port: int,
        media: Media | None,
        random: Random,
        send: Sender,
        emit: Emit,
        *,
        secure: bool = False,
    ) -> None:
        self.host = host
        self.port = port
        self.calls: dict[str, Call] = {}
        self.transactions: dict[TransactionKey, Transaction] = {}
        self.strays = 0
        self._branches: dict[str, tuple[Transaction, Branch]] = {}
        self.requests = RequestFactory(host, port, random, "WSS" if secure else "WS")
        self._media = media
        self._reoffers = Reoffers(self)
        self._random = random
        self.send = send
        self.emit = emit

    # ------------------------------------------------------------------ requests

    def begin(self, request: Request, socket: int, now: float, timeout_s: float) -> Transaction:
        """Make the transaction of a received request; `timeout_s` is the time until it must be answered."""
        key = transaction_key(request)
        transaction = Transaction(key, request, socket, now + timeout_s)
        self.transactions[key] = transaction
        return transaction

    def repeated(self, request: Request) -> bool:
        """Whether the request is a retransmission; its last response is then sent again."""
        transaction = self.transactions.get(transaction_key(request))
        if transaction is None:
            return False
        if transaction.last is not None:
            self.send(transaction.socket, transaction.last)
        return True

    def reply(
        self,
        transaction: Transaction,
        status: int,
        now: float,
        reason: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Answer a request with a response of the switch."""
        tag = None if status == 100 else f"{self._random.getrandbits(64):016x}"
        response = Response.to_request(transaction.request, status, reason, to_tag=tag)
        response.headers.add("Server", "plivo-nb-lab")
        for name, value in headers:
            response.headers.add(name, value)
        if transaction.call is not None and status > 100:
            response.headers.set("X-CallUUID", transaction.call.call_uuid)
        self._respond(transaction, response, now)

    def fork(self, transaction: Transaction, bindings: Iterable[Binding], now: float) -> None:
        """Forward an INVITE to all bindings at the same time; without any, answer 480."""
        transaction.waiting_for_route = False
        call = transaction.call
        assert call is not None
        for binding in bindings:
            copy = next_hop(transaction.request)
            copy.uri = binding.contact
            copy.headers.remove("Proxy-Authorization")
            copy.headers.add_first("Record-Route", f"<sip:{self.host}:{self.port};transport=ws;lr>")
            copy.headers.set("X-CallUUID", call.call_uuid)
            self._rewrite(call, "caller", copy)
            self._forward(transaction, copy, binding.socket, binding.user)
        if not transaction.branches:
            self.reply(transaction, 480, now)

    def forward(self, transaction: Transaction, socket: int, now: float, uri: str | None = None) -> None:
        """Forward a request within a dialog, or a MESSAGE to a user."""
        copy = next_hop(transaction.request)
        copy.uri = uri or copy.uri
        copy.headers.remove("Proxy-Authorization")
        if transaction.call is not None:
            leg = transaction.call.leg(copy.from_.tag)
            if leg is not None:
                shift_cseq(copy, leg.cseq_offset)
                self._rewrite(transaction.call, leg.side, copy)
        self._forward(transaction, copy, socket)

    def pass_ack(self, request: Request, call: Call, sender: Leg, target: Leg) -> None:
        """Forward the ACK of a 2xx, without a transaction (RFC 3261 section 16.11)."""
        if target.socket is None:
            return
        copy = next_hop(request)
        copy.push_via(self.requests.new_via()[0])
        shift_cseq(copy, sender.cseq_offset)
        self._rewrite(call, sender.side, copy)
        self.send(target.socket, copy)

    def cancel(self, transaction: Transaction, now: float) -> None:
        """Cancel the branches of a transaction. The callee answers 487; without branches, the switch does."""
        if transaction.done or transaction.canceled:
            return
        transaction.canceled = True
        if transaction.held is not None and transaction.call is not None:
            self._cancel_held(transaction, transaction.call)
        if not any(branch.final is None for branch in transaction.branches):
            self.reply(transaction, 487, now)
            return
        transaction.deadline = now + CANCEL_TIMEOUT_S
        self._cancel_branches(transaction)

    # ------------------------------------------------------------------ responses

    def receive_response(self, response: Response, now: float) -> None:
        """Handle a response: of one of the branches, or a stray one, which is counted."""
        branch_id = response.via.branch or ""
        if self._reoffers.receive(response, now):
            return
        found = self._branches.get(branch_id)
        if found is None or response.via.sent_by != f"{self.host}:{self.port}":
            self.strays += 1
            return
        transaction, branch = found
        if response.cseq.method != branch.request.method:
            return  # the response to our CANCEL; the response to the INVITE follows
        if response.status < 200:
            self._provisional(transaction, branch, response, now)
        else:
            self._final(transaction, branch, response, now)

    def _provisional(self, transaction: Transaction, branch: Branch, response: Response, now: float) -> None:
        branch.provisional = True
        if branch.cancel_wanted:
            self._send_cancel(branch)
        if response.status == 100 or transaction.done:
            return
        call = transaction.call
        if call is not None and transaction.initial and call.state == "connecting":
            call.state = "ringing"
            self.emit(Happened("call-ringing", call.callee_name, call_uuid=call.call_uuid))
        self._pass_back(transaction, branch, response, now)

    def _final(self, transaction: Transaction, branch: Branch, response: Response, now: float) -> None:
        repeated = branch.final is not None
        branch.final = response
        if response.status >= 300 and branch.request.method == "INVITE":
            self._acknowledge(branch, response)
        if repeated:
            # The caller's ACK was lost (RFC 3261 section 16.7 step 5); an answer that is held waits its time.
            if response.status < 300 and (transaction.held is None or transaction.done):
                self._pass_back(transaction, branch, response, now)
            return
        if response.status < 300:
            self._succeeded(transaction, branch, response, now)
        elif not transaction.done and all(other.final is not None for other in transaction.branches):
            self._give_best(transaction, now)

    def _succeeded(self, transaction: Transaction, branch: Branch, response: Response, now: float) -> None:
        call = transaction.call
        if call is not None and transaction.initial and call.state != "answered":
            call.state, call.answered_at = "answered", now
            self._reoffers.answered(call, now + call.early_media_s)
            self.calls[call.call_id] = call
            self.emit(Happened("call-answered", call.callee_name, call_uuid=call.call_uuid))
        if call is not None and transaction.initial and call.early_media_s > 0:
            self._hold(transaction, branch, response, now)
        else:
            self._pass_back(transaction, branch, response, now)
        for other in transaction.branches:
            if other.final is None:
                other.cancel_wanted = True
        self._cancel_branches(transaction, only_wanted=True)
        if call is not None and transaction.request.method == "BYE":
            self.end(call, f"BYE from the {self._side_of(transaction, call)}")

    def _hold(self, transaction: Transaction, branch: Branch, response: Response, now: float) -> None:
        """Early media: forward the answer as a 183 now, and unchanged when the early media period is over."""
        early = response.copy()
        early.status, early.reason = 183, "Session Progress"
        self._pass_back(transaction, branch, early, now)
        transaction.held = (branch, response)
        assert transaction.call is not None
        transaction.deadline = now + transaction.call.early_media_s

    def _cancel_held(self, transaction: Transaction, call: Call) -> None:
        """The caller canceled during early media: send ACK and BYE to the callee on its behalf."""
        assert transaction.held is not None
        _, response = transaction.held
        callee = call.leg(response.to.tag)
        if callee is not None and callee.socket is not None and callee.contact is not None:
            ack = self.requests.along_dialog("ACK", call, call.caller, callee, call.caller.cseq)
            self.send(callee.socket, ack)
            self.send_bye(call, call.caller, callee)

    def _give_best(self, transaction: Transaction, now: float) -> None:
        """Forward the best failure: a 6xx, else the lowest status (RFC 3261 section 16.7 step 6)."""
        failed = [(branch, branch.final) for branch in transaction.branches if branch.final is not None]
        branch, response = min(failed, key=lambda pair: (pair[1].status < 600, pair[1].status))
        if transaction.canceled and response.status != 487:
            self.reply(transaction, 487, now)
            return
        self._pass_back(transaction, branch, response, now)
        if transaction.call is not None and transaction.request.method == "BYE":
            self.end(transaction.call, "BYE")

    def _pass_back(self, transaction: Transaction, branch: Branch, response: Response, now: float) -> None:
        copy = response.copy()
        copy.pop_via()
        call = transaction.call
        if call is not None:
            self._learn(transaction, branch, copy)
            copy.headers.set("X-CallUUID", call.call_uuid)
            if call.return_headers and transaction.initial and copy.status < 300:
                for name, value in call.headers:
                    copy.headers.set(name, value)
            side = self._side_of(transaction, call)
            copy.headers.set("CSeq", transaction.request.headers.get("CSeq") or "")
            self._rewrite(call, "callee" if side == "caller" else "caller", copy)
        self._respond(transaction, copy, now)

    def _respond(self, transaction: Transaction, response: Response, now: float) -> None:
        transaction.last = response
        self.send(transaction.socket, response)
        if response.status >= 200:
            transaction.done = True
            transaction.deadline = now + KEEP_DONE_S
            call = transaction.call
            if call is not None and transaction.initial and response.status >= 300:
                self.end(call, f"{response.status} {response.reason}")

    # ------------------------------------------------------------------ time

    def advance(self, now: float) -> None:
        """Run the timers that are due."""
        self._reoffers.advance(now)
        for transaction in [t for t in self.transactions.values() if t.deadline <= now]:
            if transaction.done:
                self._forget(transaction)
            elif transaction.canceled:
                self.reply(transaction, 487, now)
            elif transaction.held is not None:
                self._pass_back(transaction, *transaction.held, now)
            else:
                self._cancel_branches(transaction)
                self.reply(transaction, 408, now)

    def next_deadline(self) -> float | None:
        """The time of the next timer, in seconds; None if there is none."""
        times = [transaction.deadline for transaction in self.transactions.values()]
        reoffer_at = self._reoffers.next_deadline()
        return min([*times, *([] if reoffer_at is None else [reoffer_at])], default=None)

    # ------------------------------------------------------------------ lost parties

    def branch_failed(self, transaction: Transaction, branch: Branch, now: float) -> None:
        """Treat a branch whose target did not come back as if it had answered 480."""
        if branch.final is None:
            self._final(transaction, branch, Response.to_request(branch.request, 480, to_tag="gone"), now)

    def send_bye(self, call: Call, gone: Leg, to: Leg) -> None:
        """Send a BYE on behalf of a party that has disappeared, as Plivo does when its media stop."""
        if to.socket is None or to.contact is None:
            return
        gone.cseq += 1
        bye = self.requests.along_dialog("BYE", call, gone, to, gone.cseq + gone.cseq_offset)
        bye.headers.add("Reason", 'SIP;cause=408;text="The other side is gone"')
        self.send(to.socket, bye)

    def end(self, call: Call, why: str) -> None:
        """End a call: close its relay and forget its dialog."""
        if call.state == "ended":
            return
        call.state = "ended"
        if self.calls.get(call.call_id) is call:
            del self.calls[call.call_id]
        if self._media is not None:
            self._media.close_call(call.call_uuid)
        self.emit(Happened("call-ended", call.callee_name, why, call.call_uuid))

    def all_calls(self) -> list[Call]:
        """All calls, answered or not."""
        calls = {id(call): call for call in self.calls.values()}
        for transaction in self.transactions.values():
            call = transaction.call
            if call is not None and call.state != "ended":
                calls[id(call)] = call
        return list(calls.values())

    # ------------------------------------------------------------------ sending

    def _forward(self, transaction: Transaction, copy: Request, socket: int, user: str | None = None) -> None:
        via, branch_id = self.requests.new_via()
        copy.push_via(via)
        branch = Branch(branch_id, socket, copy, user)
        transaction.branches.append(branch)
        self._branches[branch_id] = (transaction, branch)
        self.send(socket, copy)

    def _acknowledge(self, branch: Branch, response: Response) -> None:
        self.send(branch.socket, failure_ack(branch.request, response))

    def _cancel_branches(self, transaction: Transaction, *, only_wanted: bool = False) -> None:
        for branch in transaction.branches:
            if branch.final is not None or (only_wanted and not branch.cancel_wanted):
                continue
            branch.cancel_wanted = True
            if branch.provisional:
                self._send_cancel(branch)

    def _send_cancel(self, branch: Branch) -> None:
        """Send a CANCEL; the caller has checked that a provisional response came (RFC 3261 section 9.1)."""
        if branch.cancel_sent or branch.request.method != "INVITE":
            return
        branch.cancel_sent = True
        self.send(branch.socket, hop_by_hop(branch.request, "CANCEL", branch.request.headers.get("To") or ""))

    # ------------------------------------------------------------------ dialogs and media

    def _learn(self, transaction: Transaction, branch: Branch, response: Response) -> None:
        """Store the tag and the Contact of the leg that sent a response."""
        call = transaction.call
        tag = response.to.tag
        if call is None or not transaction.initial or tag is None or response.status >= 300:
            return
        contacts = response.contacts
        leg = call.callees.get(tag)
        if leg is None:
            leg = Leg("callee", tag, branch.socket, None, response.headers.get("To") or "", branch.user)
            call.callees[tag] = leg
        if contacts:
            leg.contact = contacts[0].uri
        leg.answered = leg.answered or response.status >= 200

    def _side_of(self, transaction: Transaction, call: Call) -> Side:
        """The side that sent the request of a transaction."""
        leg = call.leg(transaction.request.from_.tag)
        return leg.side if leg is not None else "caller"

    def _rewrite(self, call: Call, sender: Side, message: Request | Response) -> None:
        """Replace the ICE candidates in a session description of `sender` by the relay's address."""
        if self._media is None or not message.body or message.content_type != "application/sdp":
            return
        try:
            text = message.body.decode("utf-8")
        except UnicodeDecodeError:
            return
        if (
            call.telephone_event
        ):  # the robot sees telephone-event in the offer, the caller does not see it in the answer
            text = with_telephone_event(text) if sender == "caller" else without_telephone_event(text)
        address = self._media.describe(call.call_uuid, sender, best_candidate(text))
        if address is not None:
            text = rewrite_candidates(text, *address)
        message.body = text.encode("utf-8")
        if sender == "callee":
            call.callee_sdp = text

    def _forget(self, transaction: Transaction) -> None:
        self.transactions.pop(transaction.key, None)
        for branch in transaction.branches:
            self._branches.pop(branch.branch, None)
