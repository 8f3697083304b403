"""The ladder: its lines, its text and its picture."""

from dataclasses import dataclass

from matplotlib.figure import Figure

from plivo_nb.analysis.ladder import Ladder


@dataclass
class Message:
    time_monotonic_s: float
    direction: str
    start: str
    cseq: str
    call: str = "one"


MESSAGES = [
    Message(100.0, "out", "INVITE", "1 INVITE"),
    Message(100.01, "in", "180 Ringing", "1 INVITE"),
    Message(102.5, "in", "200 OK", "1 INVITE"),
    Message(102.51, "out", "ACK", "1 ACK"),
    Message(103.0, "in", "BYE", "2 BYE"),
    Message(103.01, "in", "503 Service Unavailable", "3 INFO"),
]
TIMINGS = {"dialled": 99.0, "first_rtp_sent": 102.6, "first_rtp_received": 102.7, "ended": 103.2}


def test_lines_are_in_order_and_say_what_when_and_which_way() -> None:
    ladder = Ladder(MESSAGES, TIMINGS, title="SIP of the call with bob")
    lines = str(ladder).splitlines()
    assert lines[0] == "SIP of the call with bob"
    assert [line.split("s ")[0].strip() for line in lines[2:]] == [
        "0.000",
        "0.010",
        "2.500",
        "2.510",
        "2.600",
        "2.700",
        "3.000",
        "3.010",
    ]
    assert ">|" in lines[2]
    assert "INVITE" in lines[2]
    assert "|<" in lines[3]
    assert "180 Ringing (INVITE)" in lines[3]
    assert "first RTP heard: media begins" in lines[7]
    assert len({len(line) for line in lines[2:]}) == 1


def test_kinds_of_messages_are_told_apart() -> None:
    kinds = [rung.kind for rung in Ladder(MESSAGES).rungs]
    assert kinds == ["request", "provisional", "success", "request", "request", "failure"]


def test_the_picture_has_an_arrow_a_label_and_a_time_for_each_line() -> None:
    ladder = Ladder(MESSAGES, TIMINGS)
    axes = ladder.figure().axes[0]
    texts = [text.get_text().strip() for text in axes.texts]
    for rung in ladder.rungs:
        assert rung.label in texts
        assert f"{rung.at_s:.3f} s" in texts
    assert "2.5 s" in texts  # the long pause
    assert ladder._repr_png_().startswith(b"\x89PNG")


def test_nothing_to_draw_is_an_empty_ladder() -> None:
    ladder = Ladder([])
    assert len(str(ladder).splitlines()) == 2
    assert ladder._repr_png_().startswith(b"\x89PNG")
    assert "0 lines" in repr(ladder)


def test_messages_of_several_calls_are_separated_with_a_heading_each() -> None:
    register = [
        Message(99.0, "out", "REGISTER", "1 REGISTER", "reg"),
        Message(104.0, "out", "REGISTER", "2 REGISTER", "reg"),
    ]
    ladder = Ladder([register[0], *MESSAGES, register[1]], us="alice", them="server, for bob")
    labels = [rung.label for rung in ladder.rungs]
    assert labels[0] == "1. REGISTER, Call-ID reg"
    assert labels[1:3] == ["REGISTER", "REGISTER"]
    assert labels[3] == "2. INVITE, Call-ID one"
    assert len(labels) == 4 + len(MESSAGES)
    assert "alice" in str(ladder)
    texts = {text.get_text(): text for text in ladder.figure().axes[0].texts}
    assert {"alice", "server, for bob", "2. INVITE, Call-ID one"} <= texts.keys()
    ground = texts["2. INVITE, Call-ID one"].get_bbox_patch()
    assert ground is not None, "the line of our end would run through the heading"
    assert ground.get_facecolor() == (1.0, 1.0, 1.0, 1.0)


def test_the_picture_is_drawn_into_axes_that_are_given() -> None:
    figure = Figure()
    left, right = figure.subplots(1, 2)
    assert Ladder(MESSAGES, TIMINGS, title="SIP").figure(ax=right) is figure
    assert right.get_title(loc="left") == "SIP"
    assert right.texts
    assert not left.texts


def test_the_svg_has_the_messages_as_text():
    text = Ladder(MESSAGES, TIMINGS, title="SIP of the call with bob").svg()
    assert text.startswith("<?xml")
    for words in ("SIP of the call with bob", "180 Ringing (INVITE)", "503 Service Unavailable (INFO)"):
        assert f">{words}</text>" in text
