"""The watchdog in simulated time: told once, told again when it goes on, silent about stalls of our own."""

from plivo_nb.engine.watchdog import HUNG_S, INTERVAL_S, Watchdog


def told(turns: list[float], checks: list[float]) -> list[tuple[float, str]]:
    """What is told at these checks by a plane whose loop turns at these times."""
    watchdog, found = Watchdog(), []
    for now in checks:
        turned = max([at for at in turns if at <= now], default=0.0)
        result = watchdog.check(now, turned)
        if result is not None:
            found.append((now, result))
    return found


def each(start: float, end: float) -> list[float]:
    count = round((end - start) / INTERVAL_S)
    return [start + n * INTERVAL_S for n in range(count)]


def test_a_plane_that_hangs_is_told_once_and_told_again_when_it_goes_on() -> None:
    found = told([*each(0, 5), *each(10, 12)], each(0, 12))
    assert [what for _, what in found] == ["hung", "back"]
    assert 4.75 + HUNG_S <= found[0][0] <= 4.75 + HUNG_S + 2 * INTERVAL_S
    assert found[1][0] == 10.0


def test_a_plane_that_turns_is_never_told() -> None:
    assert told(each(0, 60), each(0, 60)) == []


def test_a_stall_of_both_loops_is_not_the_planes() -> None:
    assert told([*each(0, 5), *each(15, 20)], [*each(0, 5), 15.0, *each(15.1, 20)]) == []
