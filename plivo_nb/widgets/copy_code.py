"""CopyCode: a button that copies what was clicked as Python; the JavaScript is copy_code.js."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

if TYPE_CHECKING:
    from plivo_nb.widgets.code_log import CodeLog


class _CopyCodeWidget(anywidget.AnyWidget):
    _esm = Path(__file__).with_name("copy_code.js")
    code = traitlets.Unicode().tag(sync=True)


class CopyCode:
    """A part of the phone: the button, and the code folded below it.

    Args:
        log: what was clicked.
    """

    def __init__(self, log: CodeLog) -> None:
        self._log = log
        self.widget: Any = _CopyCodeWidget()
        self.widget.add_class("plivo-code")
        self._remove_callback = log.on_change(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Display what is in the log now."""
        if self.widget.code != self._log.text:
            self.widget.code = self._log.text

    def close(self) -> None:
        """Close the widget in the page and in the kernel."""
        self._remove_callback()
        self.widget.layout.close()
        self.widget.close()
