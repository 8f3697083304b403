"""Fates are taken once, in order, and do not pile up when nobody takes them."""

from plivo_nb.media.playout.packet_fates import PACKET_FATES, PacketFates


def test_fates_are_taken_once_and_in_order() -> None:
    fates = PacketFates()
    for number, fate in enumerate(PACKET_FATES):
        fates.add(float(number), fate)
    assert fates.take() == ((0.0, "missing"), (1.0, "recovered"), (2.0, "concealed"), (3.0, "late"))
    assert fates.take() == ()


def test_the_oldest_are_dropped_when_nobody_takes_them() -> None:
    fates = PacketFates()
    for number in range(5000):
        fates.add(float(number), "missing")
    taken = fates.take()
    assert len(taken) == 2000
    assert taken[-1] == (4999.0, "missing")
