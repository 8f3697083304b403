"""Lost sockets: what waits for a party that may reconnect, and for how long. Sans-I/O.

A softphone that loses its socket opens another one and registers again with the same Contact. Its calls, and
the requests that wait for it, then continue on the new socket. If a party does not come back in time, a call
that rings there fails, a call that it makes is canceled, and the other side of an answered call gets a BYE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plivo_nb.lab.sip.proxy import Proxy
    from plivo_nb.lab.sip.records import Call, Leg
    from plivo_nb.lab.sip.registrar import Binding

RINGING_GRACE_S = 8.0
CALL_GRACE_S = 35.0


class Flows:
    """Updates the calls and transactions of a proxy when sockets are lost and replaced.

    Args:
        proxy: the proxy.
    """

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    def lost(self, socket: int, now: float) -> None:
        """Mark what used a socket that was closed."""
        for call in self._proxy.all_calls():
            for leg in call.legs():
                if leg.socket == socket:
                    leg.socket, leg.gone_at = None, now
        for transaction in self._proxy.transactions.values():
            if transaction.socket == socket and transaction.gone_at is None:
                transaction.gone_at = now
            for branch in transaction.branches:
                if branch.socket == socket and branch.gone_at is None:
                    branch.gone_at = now

    def moved(self, binding: Binding) -> None:
        """Move what waited for a contact of this user to the socket of its new registration."""
        for call in self._proxy.all_calls():
            for leg in call.legs():
                if leg.gone_at is not None and _is_of(leg, binding):
                    leg.socket, leg.gone_at = binding.socket, None
        for transaction in self._proxy.transactions.values():
            caller = transaction.call.caller if transaction.call is not None else None
            if transaction.gone_at is not None and caller and _is_of(caller, binding):
                transaction.socket, transaction.gone_at = binding.socket, None
            for branch in transaction.branches:
                own = branch.user in (None, binding.user)
                if branch.gone_at is not None and own and _same_place(branch.request.uri, binding.contact):
                    branch.socket, branch.gone_at = binding.socket, None

    def next_deadline(self) -> float | None:
        """The time of the next timer, in seconds; None if there is none."""
        times = []
        for transaction in self._proxy.transactions.values():
            if not transaction.done:
                gone = [transaction.gone_at, *(b.gone_at for b in transaction.branches if b.final is None)]
                times += [at + RINGING_GRACE_S for at in gone if at is not None]
        for call in self._proxy.calls.values():
            times += [leg.gone_at + CALL_GRACE_S for leg in call.legs() if leg.gone_at is not None]
        return min(times, default=None)

    def advance(self, now: float) -> None:
        """Give up the parties that did not come back in time."""
        for transaction in list(self._proxy.transactions.values()):
            if transaction.done:
                continue
            if transaction.gone_at is not None and transaction.gone_at + RINGING_GRACE_S <= now:
                transaction.gone_at = None
                self._proxy.cancel(transaction, now)
            for branch in transaction.branches:
                if branch.gone_at is not None and branch.gone_at + RINGING_GRACE_S <= now:
                    branch.gone_at = None
                    self._proxy.branch_failed(transaction, branch, now)
        for call in list(self._proxy.calls.values()):
            self._give_up_call(call, now)

    def _give_up_call(self, call: Call, now: float) -> None:
        gone = [leg for leg in call.legs() if leg.gone_at is not None and leg.gone_at + CALL_GRACE_S <= now]
        if not gone:
            return
        for leg in call.legs():
            if leg.side != gone[0].side:
                self._proxy.send_bye(call, gone[0], leg)
        self._proxy.end(call, f"the {gone[0].side} is gone")


def _is_of(leg: Leg, binding: Binding) -> bool:
    """Whether a leg is that of a registration: a contact alone could be somebody else's."""
    return leg.user in (None, binding.user) and _same_place(leg.contact, binding.contact)


def _same_place(first: str | None, second: str | None) -> bool:
    """Whether two contacts are equal, without parameters such as ``;ob``."""
    return first is not None and second is not None and first.partition(";")[0] == second.partition(";")[0]
