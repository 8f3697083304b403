"""Stills: pictures of a call, drawn by the drawing process, and kept in the output of the cell.

A saved notebook does not contain what a widget displays. A second output of the cell therefore has the last
picture of the call. dashboard.css hides it while the live dashboard is above it.
"""

from __future__ import annotations

import base64
import uuid
from typing import TYPE_CHECKING, Any

import IPython.display
from IPython import get_ipython

from plivo_nb.quality.limits import loss_limit
from plivo_nb.widgets.phone_view import clock
from plivo_nb.widgets.render_worker import RenderWorker

if TYPE_CHECKING:
    from plivo_nb.widgets.call_series import CallSeries

# IPython's functions have no annotations.
display: Any = IPython.display.display
update_display: Any = IPython.display.update_display
_TEXT = "<the last call: jitter, round trip, packet loss and MOS>"
WINDOWS_S = (30.0, 60.0, 120.0, 300.0)  # lengths of the time axis as a call gets longer; then it scrolls
# dashboard.css finds the picture in the page by its size and this background: JupyterLab gives the element of
# a picture no other mark. The background is that of the picture.
SIZE = {"width": 760, "height": 456}
EMPTY_SIZE = {"width": 1, "height": 1}
# One transparent pixel, which takes no place before the first picture.
_EMPTY = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


def window_s(seconds: float, *, whole: bool = False) -> float:
    """Length of the time axis for a call of that length; with ``whole`` all of it.

    Example:
        >>> window_s(40.0), window_s(4000.0), window_s(4000.0, whole=True)
        (60.0, 300.0, 4000.0)
    """
    if whole:
        return max(WINDOWS_S[0], seconds)
    return next((step for step in WINDOWS_S if seconds <= step), WINDOWS_S[-1])


def title(peer: str, series: CallSeries, *, ended: bool) -> str:
    """The title of a picture: other party, codec and duration; for a call that has ended, also the MOS."""
    if not series.rows:
        return peer or "No call yet"
    shown = peer if len(peer) <= 14 else peer[:13] + "…"
    parts = [shown, *([series.codec] if series.codec else []), clock(series.seconds)]
    if ended and series.mos_mean == series.mos_mean:
        parts.append(f"mean MOS {series.mos_mean:.2f}, least {series.mos_min:.2f}")
    return " · ".join(parts)


def _metadata(size: dict[str, int]) -> dict[str, Any]:
    return {"needs_background": "light", "image/png": size}


class Stills:
    """The pictures of one dashboard.

    Attributes:
        png: the last picture drawn; empty before the first.
        worker: the drawing process.
    """

    def __init__(self) -> None:
        self.png = b""
        self.worker = RenderWorker()
        self._display_id = f"plivo_nb-{uuid.uuid4().hex}"
        self._kept: dict[str, str] | None = None

    async def draw(
        self, series: CallSeries, peer: str, *, ended: bool, whole: bool, pixel_ratio: int = 2
    ) -> bytes:
        """Draw a call.

        Args:
            series: its values.
            peer: who the other party is.
            ended: whether the call is over; the title has its mean score then.
            whole: draw the whole call; by default at most its last five minutes.
            pixel_ratio: pixels of the picture for one of the page.

        Raises:
            RenderError: the picture could not be drawn.
        """
        self.png = await self._render(series, peer, ended=ended, whole=whole, pixel_ratio=pixel_ratio)
        return self.png

    async def draw_for_file(self, series: CallSeries, peer: str, format_: str) -> bytes:
        """Draw a whole call for a file; `png` stays as it is.

        Args:
            series: its values.
            peer: who the other party is.
            format_: ``png`` or ``svg``.

        Raises:
            RenderError: the picture could not be drawn.
        """
        # An SVG has no pixels; matplotlib would give it twice the size.
        return await self._render(
            series, peer, ended=True, whole=True, pixel_ratio=2 if format_ == "png" else 1, format=format_
        )

    async def _render(
        self, series: CallSeries, peer: str, *, ended: bool, whole: bool, **request: Any
    ) -> bytes:
        return await self.worker.render(
            series.columns(),
            title=title(peer, series, ended=ended),
            window_s=window_s(series.seconds, whole=whole),
            loss_limit=100 * loss_limit(series.codec or "OPUS"),
            **request,
        )

    def make_place(self) -> None:
        """Make the output of the running cell that pictures are kept in."""
        display(
            {"image/png": _EMPTY, "text/plain": _TEXT}, raw=True, display_id=self._display_id,
            metadata=_metadata(EMPTY_SIZE),
        )  # fmt: skip

    def keep(self) -> None:
        """Store the last picture in the output of the cell."""
        # Its text never changes, for tools that compare outputs.
        self._kept = {"image/png": base64.b64encode(self.png).decode(), "text/plain": _TEXT}
        self._put(self._kept)

    def keep_again(self) -> None:
        """Store it once more: nbconvert and nbval receive output of the running cell only."""
        if self._kept is not None:
            self._put(self._kept)

    def forget(self) -> None:
        """Another call begins: do not store the picture of the one before again."""
        self._kept = None

    def _put(self, picture: dict[str, str]) -> None:
        if get_ipython() is None:
            return  # without IPython there is no cell, and `update_display` would print
        update_display(picture, raw=True, display_id=self._display_id, metadata=_metadata(SIZE))
