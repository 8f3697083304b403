"""The button "Copy as code": what it copies."""

from __future__ import annotations

from plivo_nb.widgets.code_log import CodeLog
from plivo_nb.widgets.copy_code import CopyCode


def test_it_shows_what_is_in_the_log(widget_count) -> None:
    before = widget_count()
    log = CodeLog()
    button = CopyCode(log)
    assert button.widget.code == ""
    log.add("await client.call({!r})", "echo")
    assert button.widget.code == "await client.call('echo')"
    button.close()
    assert widget_count() == before
