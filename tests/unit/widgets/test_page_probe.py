"""What the kernel says to a player, and what it makes of the answer; a page answers in tests/browser."""

from __future__ import annotations

from plivo_nb.widgets.page_probe import PageProbe
from plivo_nb.widgets.phone_view import close_tree


def test_a_player_is_started_anew_each_time_and_opened_by_its_answer() -> None:
    probe, playing = PageProbe(), []
    probe.widget.observe(lambda change: playing.append(change["new"]), "playing")
    for _ in range(2):
        probe.ask()
    assert playing == [True, False, True]
    assert not probe.opened
    probe.widget.value = 1
    assert probe.opened
    probe.ask()
    assert probe.opened
    close_tree(probe.widget)
