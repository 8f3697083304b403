"""The Python of what was clicked."""

from __future__ import annotations

import ast

from plivo_nb.widgets.code_log import CodeLog, code_log_of


def test_values_are_written_as_python() -> None:
    log = CodeLog()
    log.add("await client.call({!r})", 'it\'s "bob"\n')
    log.add("client.mute()")
    assert log.lines == ["await client.call('it\\'s \"bob\"\\n')", "client.mute()"]
    compiled = ast.parse(log.text.replace("await ", ""))
    assert len(compiled.body) == 2


def test_only_the_last_lines_are_kept() -> None:
    log = CodeLog()
    for number in range(300):
        log.add("x = {!r}", number)
    assert (len(log.lines), log.lines[-1]) == (200, "x = 299")


def test_a_line_that_is_added_is_told_until_the_callback_is_removed() -> None:
    log = CodeLog()
    told: list[str] = []
    remove = log.on_change(lambda: told.append(log.text))
    log.add("client.mute()")
    remove()
    log.add("client.unmute()")
    assert told == ["client.mute()"]


async def test_the_widgets_of_a_client_share_a_log(client) -> None:
    code_log_of(client).add("client.mute()")
    assert code_log_of(client).text == "client.mute()"
