"""The I/O plane: what has deadlines, in a thread of its own; the kernel knows `wire` and `plane.Plane` only.

plane            the thread, its loop, the one ticker of all sessions
wire             the messages that cross
desk             executes commands, owns sockets and sessions
outbox           reports on their way up
websocket        one signalling socket
media_session    one call's media: negotiation, ticks, states
sampling         from a stream's counters to the sampler
daemon_executor  name resolution that never holds up an exit
"""
