"""fleet.progress: counts in words."""

from plivo_nb.fleet import Progress


def test_it_counts_calls_with_a_result() -> None:
    progress = Progress(9, {"planned": 1, "attempted": 2, "done": 3, "failed": 2, "lost": 1}, 1, 7.5)
    assert progress.finished == 6
    assert str(Progress(9, progress.counts, 2, 7.5, earlier=3)).startswith(
        "9 of 9 calls (3 done, 2 failed, 1 lost, 3"
    )
    assert str(progress) == "6 of 9 calls (3 done, 2 failed, 1 lost), 2 now, on 1 worker"
