"""The lab: an embedded Plivo in a subprocess, to learn, test and break things on.

process.py     Lab: what a notebook holds           child.py      the subprocess as its parent sees it
control.py     commands and events, with a token    views.py      the network as a notebook sees it
service.py     what runs in the subprocess          __main__.py   its start and its end
switch.py      SIP: who may do what, and where to   registrar.py  accounts, nonces, bindings
proxy.py       transactions, forking                calls.py      the records of both
server.py      the switch's WebSockets              page.py       the page at /
network.py     all media, knobs, counters, log      relay.py      one call's two sockets
impairment.py  the fate of a packet                 config.py     how a lab is set up
"""

from plivo_nb.lab.process import Lab

__all__ = ["Lab"]
