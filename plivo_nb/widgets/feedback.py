"""Feedback: rates the call that was answered last, with stars and one of Plivo's comments."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import ipywidgets as W

from plivo_nb.client import FEEDBACK_COMMENTS
from plivo_nb.errors import PlivoError
from plivo_nb.widgets.code_log import code_log_of
from plivo_nb.widgets.phone_view import button, close_tree, live_region, peer_of, row

if TYPE_CHECKING:
    from plivo_nb.client import Client, FeedbackComment
    from plivo_nb.operation import Operation
    from plivo_nb.widgets.loop_tasks import LoopTasks

SCORES = {1: "bad", 2: "poor", 3: "fair", 4: "good", 5: "excellent"}
_NO_COMMENT = ("Comment…", "")


def comment_words(comment: str) -> str:
    """A comment in words.

    Example:
        >>> comment_words("wrong-callerid"), comment_words("dtmf-not-captured")
        ('Wrong caller ID', 'DTMF not captured')
    """
    words = comment.replace("callerid", "caller ID").replace("dtmf", "DTMF").replace("-", " ")
    return words[0].upper() + words[1:]


class Feedback:
    """The rating of the client's last answered call, sent with `Client.send_quality_feedback`.

    Plivo takes a score only together with one of ten comments; both have to be chosen before it can be sent.

    Args:
        client: the client whose calls are rated.
        loop_tasks: run what is clicked.
    """

    def __init__(self, client: Client, loop_tasks: LoopTasks) -> None:
        self._client = client
        self._loop_tasks = loop_tasks
        self._uuid: str | None = None
        self._score = 0
        self._peer = ""
        self._state = ""
        self._done = False
        self.stars = [
            button(f"{score} star{'s' * (score > 1)}", "plivo-star", tooltip=f"{score} of 5: {word}")
            for score, word in SCORES.items()
        ]
        for score, star in enumerate(self.stars, 1):
            star.on_click(lambda _button, score=score: loop_tasks.run_soon(lambda: self.rate(score)))
        self.comment = W.Dropdown(
            options=[_NO_COMMENT, *((comment_words(comment), comment) for comment in FEEDBACK_COMMENTS)],
            description="Comment",
            tooltip="Comment on the call",
            layout=W.Layout(flex="1 1 auto", width="auto", min_width="0", margin="0"),
        )
        self.comment.observe(lambda _change: loop_tasks.call_soon(self.refresh), "value")
        self.send_button = button("Send", "plivo-go", tooltip="Send the rating to Plivo")
        self.send_button.layout.flex = "0 0 72px"
        self.send_button.on_click(lambda _button: loop_tasks.run_soon(self.send))
        self._words = live_region()
        rows = [row(*self.stars), row(self.comment, self.send_button), self._words]
        self.widget: Any = W.VBox(rows, layout=W.Layout(grid_gap="6px"))
        self.widget.add_class("plivo-feedback")

    @property
    def has_call(self) -> bool:
        """Whether there is a call to rate."""
        return self._client.options.enable_tracking and self._client.get_last_call_uuid() is not None

    @property
    def state(self) -> str:
        """What is displayed: what is missing, or what has become of the rating."""
        if self._state:
            return self._state
        if not self._score:
            return f"How was the call with {self._peer}?" if self._peer else "How was the call?"
        score = f"{self._score} of 5, {SCORES[self._score]}"
        return f"{score}: choose a comment." if not self.comment.value else f"{score}."

    def rate(self, score: int) -> None:
        """Choose a score, 1 to 5."""
        self._score = score
        self.refresh()

    def send(self) -> Operation[None]:
        """Send score and comment for the last call.

        Raises (when awaited):
            InvalidFeedback: no score or no comment is chosen, or the call can no longer be rated.
        """
        comment: FeedbackComment = self.comment.value
        uuid, score = self._client.get_last_call_uuid() or "", self._score
        code_log_of(self._client).add(
            "await client.send_quality_feedback({!r}, {!r}, {!r})", uuid, score, comment
        )
        operation = self._client.send_quality_feedback(uuid, score, comment)
        self._state = "Sending…"
        self._done = True
        self.refresh()
        self._loop_tasks.create_task(self._sent(operation, uuid, score, comment))
        return operation

    def refresh(self) -> None:
        """Display the rating; a new call is not rated yet."""
        call = self._client.current_call
        if call is not None and call.phase == "answered":
            self._peer = peer_of(call.info)
        uuid = self._client.get_last_call_uuid()
        if uuid != self._uuid:
            self._uuid, self._score, self._state, self._done = uuid, 0, "", False
            self.comment.value = ""
        for score, star in enumerate(self.stars, 1):
            (star.add_class if score <= self._score else star.remove_class)("plivo-lit")
            star.disabled = self._done
        self.comment.disabled = self._done
        self.send_button.disabled = self._done or not (self._score and self.comment.value)
        text = html.escape(self.state)
        self._words.value = f'<div class="plivo-rating plivo-cut" title="{text}">{text}</div>'

    def close(self) -> None:
        """Close the widgets."""
        self.comment.unobserve_all()
        close_tree(self.widget)

    async def _sent(self, operation: Operation[None], uuid: str, score: int, comment: str) -> None:
        try:
            await operation
            words = f"Sent: {score} of 5, {comment_words(comment)}. Thank you."
            done = True
        except PlivoError as error:
            words, done = f"Not sent: {error}", False
        if uuid == self._uuid:
            self._state, self._done = words, done
            self.refresh()
