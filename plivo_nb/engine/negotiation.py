"""Offers and answers besides those of the call's beginning: early media, hold, a new address, a restart."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from plivo_nb.errors import MediaError, PlaneDied

if TYPE_CHECKING:
    from plivo_nb.engine.call_session import CallSession

_logger = logging.getLogger("plivo_nb.session")

_LISTEN_S = 0.3


class Negotiation:
    """Applies one call's further descriptions (RFC 3261 section 14), and never ends it for a bad offer.

    Args:
        session: the call.
    """

    def __init__(self, session: CallSession) -> None:
        self._session = session
        self._media = session.media

    async def early_media(self, body: bytes) -> None:
        """A 18x brought SDP: hear what comes before the answer."""
        try:
            await self._media.apply("pranswer", body)
        except (MediaError, PlaneDied) as error:
            peer = self._session.peer
            _logger.warning("The early media of %s cannot be used, waiting for the answer: %s", peer, error)

    async def on_reinvite(self, key: str, body: bytes) -> None:
        """The other side changes the session (hold, new address): answer with ours, or refuse and go on."""
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
                self._session.act(lambda ua, now: ua.reject_reinvite(key, 488, now))
            return
        if self._session.phase == "answered":
            self._session.act(lambda ua, now: ua.accept_reinvite(key, description, now))

    def on_signalling_restored(self) -> None:
        """The socket is back: offer again, with an ICE restart (RFC 8839 4.4) if the media is gone too.

        Only a re-INVITE tells the other side, and proxies between, the new way here: else its BYE gets lost.
        """
        if self._session.phase == "answered":
            self._session.spawn(self._offer_again(), "re-INVITE")

    async def _is_gone(self) -> bool:
        """Whether nothing is heard: a new address takes the media away at once, ICE sees it after 5 s."""
        if self._media.states["ice"] in ("disconnected", "failed"):
            return True
        before = await self._packets()
        await asyncio.sleep(_LISTEN_S)
        return await self._packets() == before

    async def _packets(self) -> object:
        stats = await self._media.stats()
        return stats.get("transport", {}).get("packetsReceived")

    async def _offer_again(self) -> None:
        try:
            offer = await self._media.create_offer(ice_restart=await self._is_gone())
        except (MediaError, PlaneDied) as error:
            peer = self._session.peer
            _logger.warning("The media of the call with %s cannot be restarted: %s", peer, error)
            return
        key = self._session.key
        if self._session.phase == "answered" and key is not None:
            self._session.act(lambda ua, now: ua.reinvite(key, offer, now))

    async def on_reinvite_answered(self, body: bytes) -> None:
        """Our re-INVITE was accepted: apply the other side's description."""
        try:
            await self._media.apply("answer", body)
        except (MediaError, PlaneDied) as error:
            self._session.fail_media(error)
