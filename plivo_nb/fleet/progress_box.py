"""The progress of a campaign as a widget: a bar, the states of its calls, and a button that cancels it."""

from __future__ import annotations

import asyncio
import html
from typing import TYPE_CHECKING, Any

import ipywidgets as W

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from plivo_nb.fleet.progress import Progress


class ProgressBox:
    """A widget that shows one campaign.

    Args:
        progress: how far it is.
        cancel: cancels it.

    Attributes:
        widget: what is displayed.
    """

    def __init__(self, progress: Progress, cancel: Callable[[], Awaitable[None]]) -> None:
        self._cancel = cancel
        self._loop: asyncio.AbstractEventLoop | None = None
        self._canceling: asyncio.Task[None] | None = None
        self._bar = W.IntProgress(min=0, max=progress.rows, layout=W.Layout(width="24em"))
        self._text = W.HTML()
        self._button = W.Button(description="Cancel", tooltip="Hang up all calls and stop", disabled=True)
        self._button.on_click(self._clicked)
        self.widget: Any = W.HBox([self._bar, self._text, self._button])
        self.show(progress)

    def show(self, progress: Progress, *, running: bool = False) -> None:
        """Show how far it is now."""
        self._bar.value = progress.finished
        self._text.value = f"<span>{html.escape(str(progress))}</span>"
        self._button.disabled = not running
        if running:
            self._loop = asyncio.get_running_loop()

    def _clicked(self, _button: object) -> None:
        """JupyterLab may send the click in another thread than that of the loop."""
        self._button.disabled = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._begin_to_cancel)

    def _begin_to_cancel(self) -> None:
        assert self._loop is not None
        self._canceling = self._loop.create_task(self._canceled(), name="campaign cancel")

    async def _canceled(self) -> None:
        await self._cancel()
