"""The lab drawer: the network of a lab, its scenarios and its robots, below a phone and a dashboard."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import ipywidgets as W

from plivo_nb.lab.network.scenarios import SCENARIOS
from plivo_nb.lab.robots.roles import ROBOTS
from plivo_nb.widgets import voila
from plivo_nb.widgets.code_log import code_log_of
from plivo_nb.widgets.knobs import Knobs, network_in_words
from plivo_nb.widgets.loop_tasks import LoopTasks
from plivo_nb.widgets.page import Page
from plivo_nb.widgets.phone_view import clock, close_tree, live_region
from plivo_nb.widgets.theme import style
from plivo_nb.widgets.true_loss import TrueLoss

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from plivo_nb.call import Call
    from plivo_nb.client import Client
    from plivo_nb.events import EventName
    from plivo_nb.lab import Lab
    from plivo_nb.lab.network.scenarios import Scenario
    from plivo_nb.operation import Operation

SEVERAL = 3  # callers of the button that lets several calls ring at once
_EVENTS: tuple[EventName, ...] = ("onCallAnswered", "onCallTerminated", "onCallFailed")


class LabDrawer:
    """The controls of a lab for one of its clients: a folded box that opens when its title is clicked.

    It has the knobs of the network, the scenarios, robots that call this client, and robots to call.

    Args:
        lab: a running lab.
        client: the client that robots call, and whose calls say which direction is "to me".
        call: calls a number, such as ``phone.call``; by default the client does.
        show_true_loss: called each second in an answered call with the loss that the network caused; see
            `TrueLoss`.

    Attributes:
        widget: the ipywidgets box.
        knobs: the `Knobs`; None until the drawer was opened for the first time.

    Example:
        >>> import asyncio
        >>> from plivo_nb import Lab
        >>> async def main():
        ...     async with Lab() as lab, lab.client() as client:
        ...         await client.login("alice", lab.password("alice"))
        ...         drawer = LabDrawer(lab, client)      # as a cell's last expression it is displayed
        ...         drawer.open()
        ...         await drawer.ring_me(1)
        ...         return drawer.status
        >>> asyncio.run(main())
        '1 robot is calling alice.'
    """

    def __init__(
        self,
        lab: Lab,
        client: Client,
        *,
        call: Callable[[str], Any] | None = None,
        show_true_loss: Callable[[Mapping[str, NDArray[Any]]], None] | None = None,
    ) -> None:
        self._lab = lab
        self._client = client
        self._code = code_log_of(client)
        self._call = call or self._call_by_client
        self.knobs: Knobs | None = None
        self.status = ""
        self._scenarios: dict[str, _Row] = {}
        self._closed = False
        self._title = W.Button(description="Lab", layout=_auto("32px"))
        self._title.add_class("plivo-lab-title")
        self._summary, self._status_line = W.HTML(), live_region()
        head = W.HBox([self._title, self._summary])
        head.add_class("plivo-lab-head")
        self._style = W.HTML(style(), layout=W.Layout(display="none"))
        self._body = W.Box(layout=W.Layout(display="none"))
        self._body.add_class("plivo-lab-body")
        page = Page(client.loop, "Lab")
        self.widget: Any = W.VBox([self._style, head, self._body, page.widget])
        self.widget.add_class("plivo")
        self.widget.add_class("plivo-lab")
        self._loop_tasks = LoopTasks(client.loop, self._show_status, "lab drawer")
        self._title.on_click(lambda _button: self._loop_tasks.run_soon(self._open_or_fold))
        self._subscriptions = [(name, lambda *_: self.refresh()) for name in _EVENTS]
        for name, callback in self._subscriptions:
            client.on(name, callback)
        self._remove_callbacks = [lab.network.on_change(self.refresh), client.at_close(self.close)]
        self._fold()
        self.refresh()
        if show_true_loss is not None:
            self._loop_tasks.create_task(TrueLoss(client, lab.network, show_true_loss).run())
        if voila.opened_as_app():
            self._loop_tasks.create_task(voila.end_with_page(page, end=client.close))

    # ------------------------------------------------------------------ methods of the buttons

    def open(self) -> None:
        """Open the drawer. Its widgets are made when it is opened for the first time."""
        if not self._body.children:
            self._body.children = self._sections()
        self._body.layout.display = None
        self._title.icon = "caret-down"
        self._title.tooltip = "Hide the lab's network, scenarios and robots"
        self.refresh()

    @property
    def is_open(self) -> bool:
        """True while the drawer is open."""
        return self._body.layout.display is None

    def play(self, scenario: str) -> Any:
        """Play a scenario, as its button does; stop it if it is playing.

        Returns:
            An operation.
        """
        network = self._lab.network
        if network.playing == scenario:
            self._code.add("await lab.network.stop()")
            return network.stop()
        self._code.add("await lab.network.play({!r})", scenario)
        return network.play(scenario)

    async def ring_me(self, n: int = SEVERAL) -> None:
        """Let `n` robots call this client at the same time, and say how many ring.

        Raises:
            LabError: the lab has no robots.
        """
        user = self._client.username
        if user is None:
            self._show_status("Nobody is logged in, so no robot can call. Log in first.")
            return
        self._show_status("Waiting for the robots to call.", error=False)
        self._code.add("await lab.call({!r}, n={!r})", user, n)
        calls = await self._lab.call(user, n)
        failed = [call["cause"] for call in calls if call["state"] == "failed"]
        self._show_status(_who_rings(user, n, failed), error=bool(failed))

    def close(self) -> None:
        """Close the widgets. The lab, its scenario and its robots go on."""
        if self._closed:
            return
        self._closed = True
        for remove in self._remove_callbacks:
            remove()
        for name, callback in self._subscriptions:
            self._client.off(name, callback)
        self._loop_tasks.close()
        if self.knobs is not None:
            self.knobs.close()
        close_tree(self.widget)
        close_tree(self._status_line)  # not in the tree before the drawer is opened

    def __repr__(self) -> str:
        return "<LabDrawer, closed>" if self._closed else "<LabDrawer>"

    def _repr_mimebundle_(self, **arguments: Any) -> Any:
        if self._closed:
            return {"text/plain": repr(self)}
        return {**self.widget._repr_mimebundle_(**arguments), "text/plain": repr(self)}

    # ------------------------------------------------------------------ private; runs on the client's loop

    def refresh(self) -> None:
        """Display the present state of the lab."""
        network = self._lab.network
        current = network.current
        words = {network_in_words(current[way]) for way in current}
        summary = words.pop() if len(words) == 1 else "a different network in each direction"
        if network.playing is not None:
            summary = f"scenario {network.playing} · {summary}"
        text = html.escape(summary)
        self._summary.value = f'<div class="plivo-lab-summary plivo-cut" title="{text}">{text}</div>'
        for name, row in self._scenarios.items():
            row.show_playing(name == network.playing)
        if self.knobs is not None:
            self.knobs.refresh()

    def _call_by_client(self, number: str) -> Operation[Call]:
        self._code.add("call = await client.call({!r})", number)
        return self._client.call(number)

    def _open_or_fold(self) -> None:
        if self.is_open:
            self._fold()
        else:
            self.open()

    def _fold(self) -> None:
        self._body.layout.display = "none"
        self._title.icon = "caret-right"
        self._title.tooltip = "Show the lab's network, scenarios and robots"

    def _sections(self) -> list[Any]:
        self.knobs = Knobs(self._lab.network, client=self._client, loop=self._client.loop)
        run_soon = self._loop_tasks.run_soon
        for name, scenario in SCENARIOS.items():
            row = self._scenarios[name] = _Row(name, _about(scenario), "Play the scenario")
            row.button.on_click(lambda _button, name=name: run_soon(lambda: self.play(name)))
        robots = []
        for number, (description, _) in ROBOTS.items():
            robot = _Row(number, description, "Call")
            robot.button.on_click(lambda _button, number=number: run_soon(lambda: self._call(number)))
            robots.append(robot)
        scenarios = [row.widget for row in self._scenarios.values()]
        second_column = W.VBox(
            [
                _section("Scenarios", _list(scenarios)),
                _section("Robots that call you", self._ring_buttons(), self._status_line),
            ]
        )
        to_call = _section("Robots to call", _list([row.widget for row in robots]))
        to_call.add_class("plivo-lab-wide")
        return [_section("Network", self.knobs.widget), second_column, to_call]

    def _ring_buttons(self) -> Any:
        buttons = []
        for n in (1, SEVERAL):
            text = "Ring me" if n == 1 else f"Ring me × {n}"
            tooltip = "Let a robot call you" if n == 1 else f"Let {n} robots call you at the same time"
            button = W.Button(description=text, tooltip=tooltip, layout=_auto("32px"))
            button.on_click(lambda _button, n=n: self._loop_tasks.run_soon(lambda: self.ring_me(n)))
            buttons.append(button)
        box = W.HBox(buttons)
        box.add_class("plivo-lab-ring")
        return box

    def _show_status(self, sentence: str, *, error: bool = True) -> None:
        self.status = sentence
        text, kind = html.escape(sentence), "" if error else " plivo-dim"
        self._status_line.value = f'<div class="plivo-status{kind}" title="{text}">{text}</div>'


class _Row:
    """A row of a list: a button, and what it does."""

    def __init__(self, name: str, description: str, action: str) -> None:
        self._name, self._action = name, action
        self._playing = False
        self.button = W.Button(
            description=name, tooltip=f"{action} {name}: {description}", layout=_auto("28px")
        )
        text = html.escape(description)
        label = W.HTML(f'<div class="plivo-lab-about">{text}</div>')
        self.widget = W.HBox([self.button, label])
        self.widget.add_class("plivo-lab-row")

    def show_playing(self, playing: bool) -> None:
        """Display on the button whether the scenario is playing."""
        if playing == self._playing:
            return
        self._playing = playing
        self.button.description = f"■ {self._name}" if playing else self._name
        self.button.tooltip = f"Stop the scenario {self._name}" if playing else f"{self._action} {self._name}"
        (self.button.add_class if playing else self.button.remove_class)("plivo-on")


def _auto(height: str) -> Any:
    return W.Layout(width="auto", height=height, margin="0")


def _about(scenario: Scenario) -> str:
    return f"{clock(scenario.seconds)} · {scenario.description}"


def _list(rows: list[Any]) -> Any:
    box = W.VBox(rows)
    box.add_class("plivo-lab-list")
    return box


def _section(title: str, *content: Any) -> Any:
    heading = W.HTML(
        f'<div class="plivo-lab-heading" role="heading" aria-level="3">{html.escape(title)}</div>'
    )
    box = W.VBox([heading, *content])
    box.add_class("plivo-lab-section")
    return box


def _who_rings(user: str, n: int, failed: list[str]) -> str:
    """A sentence about the calls of robots.

    Example:
        >>> _who_rings("alice", 3, ["Not Found"])
        '2 robots are calling alice; 1 was refused (Not Found).'
    """
    rings = n - len(failed)
    sentence = f"{rings} robot{' is' if rings == 1 else 's are'} calling {user}"
    if not failed:
        return f"{sentence}."
    sentence += (
        f"; {len(failed)} {'was' if len(failed) == 1 else 'were'} refused ({', '.join(sorted(set(failed)))})."
    )
    if "Busy" in failed:
        sentence += " With the option allow_multiple_incoming_calls=True several calls ring."
    return sentence
