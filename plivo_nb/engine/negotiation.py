"""Offers and answers after the first: early media, hold, a new address, an ICE restart."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from plivo_nb.errors import MediaError, PlaneDied

if TYPE_CHECKING:
    from plivo_nb.engine.call_session import CallSession

_logger = logging.getLogger("plivo_nb.negotiation")

_PACKETS_WITHIN_S = 0.3
_MAX_BRANCHES = 20


class Negotiation:
    """Applies the descriptions received during a call (RFC 3261 section 14); a bad offer never ends it.

    Args:
        session: the call.
    """

    def __init__(self, session: CallSession) -> None:
        self._session = session
        self._media = session.media
        self._early: dict[str, bytes] = {}  # the descriptions of 18x, by To tag
        self._branch: str | None = None  # the To tag whose description is applied

    async def early_media(self, body: bytes, to_tag: str) -> None:
        """A 18x brought SDP: receive audio before the answer.

        In a forked call each branch (To tag) describes a peer of its own. The first one is heard while it
        lives; the branch that answers replaces it (RFC 3261 section 13.2.2.4).
        """
        if len(self._early) < _MAX_BRANCHES:
            self._early[to_tag] = body
        if self._branch not in (None, to_tag) and not self._is_gone():
            _logger.debug("Another branch of the call to %s has early media too.", self._session.peer)
            return
        await self._apply_early(to_tag)

    async def _apply_early(self, to_tag: str) -> None:
        self._branch = to_tag
        try:
            await self._media.apply("pranswer", self._early[to_tag])
        except (MediaError, PlaneDied) as error:
            peer = self._session.peer
            _logger.warning("The early media of %s cannot be used, waiting for the answer: %s", peer, error)

    def _is_gone(self) -> bool:
        """Whether the branch that is applied is not, or no longer, reached."""
        return self._media.states["ice"] in ("disconnected", "failed")

    def on_early_media_lost(self) -> None:
        """The branch that was heard before the answer is gone: hear the latest of the others, if any."""
        others = [tag for tag in self._early if tag != self._branch]
        if self._branch is not None:
            self._early.pop(self._branch, None)
        if others:
            self._session.spawn(self._apply_early(others[-1]), "early media of another branch")

    def answer_of(self, to_tag: str, body: bytes) -> bytes:
        """The SDP of a 2xx: its own, or that of the 18x before it (RFC 3261 section 13.2.1)."""
        if body.strip():
            return body
        return self._early.get(to_tag) or self._early.get(self._branch or "") or body

    async def on_reinvite(self, key: str, body: bytes) -> None:
        """The other side changes the session (hold, new address): answer, or send 488 and go on as before."""
        try:
            if body.strip():
                await self._media.apply("offer", body)
                description = await self._media.create_answer()
            else:
                description = await self._media.create_offer()
        except (MediaError, PlaneDied) as error:
            peer = self._session.peer
            _logger.warning("A re-INVITE of %s is refused and the call goes on: %s", peer, error)
            if self._session.phase == "answered":
                self._session.account.reject_reinvite(key, 488)
            return
        if self._session.phase == "answered":
            self._session.account.accept_reinvite(key, description)

    def on_signalling_restored(self) -> None:
        """The socket is back: offer again, with an ICE restart (RFC 8839 4.4) if the media is gone too.

        Only a re-INVITE gives the other side, and the proxies on the way, our new address: without it, the
        other side's BYE is lost.
        """
        if self._session.phase == "answered":
            self._session.spawn(self._send_reinvite(), "re-INVITE")

    async def _media_is_gone(self) -> bool:
        """Whether no packets arrive: after a change of address they stop at once, ICE notices after 5 s."""
        if self._media.states["ice"] in ("disconnected", "failed"):
            return True
        before = await self._packets()
        await asyncio.sleep(_PACKETS_WITHIN_S)
        return await self._packets() == before

    async def _packets(self) -> object:
        stats = await self._media.stats()
        return stats.get("transport", {}).get("packetsReceived")

    async def _send_reinvite(self) -> None:
        try:
            offer = await self._media.create_offer(ice_restart=await self._media_is_gone())
        except (MediaError, PlaneDied) as error:
            peer = self._session.peer
            _logger.warning("The media of the call with %s cannot be restarted: %s", peer, error)
            return
        key = self._session.key
        if self._session.phase == "answered" and key is not None:
            self._session.account.reinvite(key, offer)

    async def on_reinvite_answered(self, body: bytes) -> None:
        """Our re-INVITE was accepted: apply the other side's description."""
        try:
            await self._media.apply("answer", body)
        except (MediaError, PlaneDied) as error:
            self._session.fail_media(error)
