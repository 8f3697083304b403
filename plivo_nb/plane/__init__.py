"""The I/O plane: what has deadlines, in a thread of its own. The engine uses `wire` and `plane.Plane` only.

plane            the thread, its loop, the one ticker of all sessions
wire             the messages that cross
command_executor executes commands, owns sockets and sessions
outbox           the queue of reports to the kernel's side
websocket        one signalling socket
media_session    one call's media: negotiation, ticks, states, samples
"""
