"""The rating after a call: stars, one of Plivo's ten comments, and what becomes of it."""

from __future__ import annotations

import asyncio

import pytest
from waiting import until

from plivo_nb.client import FEEDBACK_COMMENTS
from plivo_nb.errors import InvalidFeedback
from plivo_nb.widgets.code_log import code_log_of
from plivo_nb.widgets.feedback import Feedback, comment_words


@pytest.fixture
async def feedback(client, loop_tasks):
    made = Feedback(client, loop_tasks)
    for name in ("onCallAnswered", "onCallTerminated"):
        client.on(name, lambda *_: made.refresh())
    made.refresh()
    yield made
    made.close()


def test_the_comments_are_plivos_ten_in_words() -> None:
    assert len(FEEDBACK_COMMENTS) == 10
    assert [comment_words(comment) for comment in FEEDBACK_COMMENTS][:5] == [
        "Bad audio", "Call dropped", "Wrong caller ID", "Post dial delay", "DTMF not captured",
    ]  # fmt: skip


async def test_a_score_and_a_comment_are_sent_for_the_last_call(feedback, client) -> None:
    assert not feedback.has_call
    client.answered()
    client.ended()
    assert feedback.has_call
    assert feedback.state == "How was the call with echo?"
    assert feedback.send_button.disabled
    feedback.stars[3].click()
    await until(lambda: feedback.state == "4 of 5, good: choose a comment.")
    assert feedback.send_button.disabled
    assert [("plivo-lit" in star._dom_classes) for star in feedback.stars] == [True] * 4 + [False]
    feedback.comment.value = "audio-latency"
    await until(lambda: not feedback.send_button.disabled)
    assert feedback.state == "4 of 5, good."
    feedback.send_button.click()
    await until(lambda: feedback.state == "Sent: 4 of 5, Audio latency. Thank you.")
    assert client.asked == [("feedback", "uuid-1", 4, "audio-latency")]
    assert code_log_of(client).text == "await client.send_quality_feedback('uuid-1', 4, 'audio-latency')"
    assert feedback.send_button.disabled
    assert all(star.disabled for star in feedback.stars)


async def test_a_rating_that_fails_is_said_and_can_be_sent_again(feedback, client, shown) -> None:
    client.answered()
    client.ended()
    feedback.rate(1)
    feedback.comment.value = "no-audio"
    client.broken = InvalidFeedback("sendQualityFeedback: <it> is neither the current nor the last call.")
    with pytest.raises(InvalidFeedback):
        await feedback.send()
    await until(lambda: feedback.state.startswith("Not sent: sendQualityFeedback"))
    assert "<it>" not in feedback._words.value
    assert not feedback.send_button.disabled
    client.broken = None
    await feedback.send()
    await until(lambda: feedback.state.startswith("Sent"))


async def test_the_next_call_is_not_rated_yet(feedback, client, stand_in_call) -> None:
    client.answered()
    client.ended()
    feedback.rate(2)
    feedback.comment.value = "bad-audio"
    sending = feedback.send()
    assert feedback.state == "Sending…"
    client.answered(stand_in_call("carol", uuid="uuid-2"))
    await sending
    await asyncio.sleep(0.01)
    assert feedback.state == "How was the call with carol?"
    assert feedback.comment.value == ""
    assert not any("plivo-lit" in star._dom_classes for star in feedback.stars)


async def test_without_tracking_there_is_nothing_to_rate(in_memory, talk, loop_tasks) -> None:
    alice, bob = await in_memory("alice"), await in_memory("bob")
    call, _ = await talk(alice, bob)
    await call.hangup()
    feedback = Feedback(alice, loop_tasks)
    assert not feedback.has_call
    feedback.close()
