"""What is kept of the far end's reports."""

from plivo_nb.media.rtp.remote_view import Gaps


def test_the_usual_gap_is_the_median_of_the_last_five() -> None:
    gaps = Gaps()
    for at in (0.0, 1.0, 2.0):
        gaps.add(at)
    assert gaps.median_s == 5.0
    for at in (3.0, 10.0, 17.0, 24.0):
        gaps.add(at)
    assert gaps.median_s == 7.0
