"""The account bar."""

from __future__ import annotations

from plivo_nb.widgets.account import AccountForm


async def test_the_connection_and_the_user_are_shown(client, loop_tasks) -> None:
    form = AccountForm(client, loop_tasks)
    form.refresh()
    assert "connected" in form.widget.value
    assert "alice" in form.widget.value
    form.close()
