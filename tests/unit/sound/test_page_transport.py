"""The choice among the ways to carry a page's sound."""

from page_world import FakeLink

from plivo_nb.sound.comm_transport import CommTransport
from plivo_nb.sound.page_transport import best_open


def test_the_first_way_that_is_open_is_the_best() -> None:
    first, second = CommTransport(FakeLink(), "one"), CommTransport(FakeLink(), "one")
    assert best_open([first, second]) is None
    second.state = "open"
    assert best_open([first, second]) is second
    first.state = "open"
    assert best_open([first, second]) is first
    first.state = "failed"
    assert best_open([first, second]) is second
