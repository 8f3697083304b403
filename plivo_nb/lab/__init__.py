"""The lab: an embedded Plivo in a subprocess, to learn, test and break things on.

    process.py      Lab: what a notebook holds            child.py         the subprocess, seen from outside
    control.py      commands and events, with a token     views.py         the network as a notebook sees it
    service.py      what runs in the subprocess           __main__.py      its start and its end
    switch.py       SIP: who may do what, and where to    registrar.py     accounts, nonces, bindings
    proxy.py        transactions, forking                 calls.py         the records of both
    flows.py        sockets that come and go              addressing.py    which addresses are its own
    messages.py     what the proxy makes itself           reoffers.py      hold, and other offers in mid-call
    sdp_edits.py    what it reads and changes in SDP      server.py        its WebSockets; page.py: at /
    network.py      all media, knobs, counters, log       relay.py         one call's two sockets
    impairment.py   the fate of a packet                  scenarios.py     tables of times and settings
    robots.py       clients that can be called            roles.py         what they do; sounds.py: play
    faults.py       what is wrong on purpose              fault_commands.py  how it is put wrong
    collector.py    the statistics service                config.py        how a lab is set up

The switch with all that it uses, and impairment.py, are sans-I/O: text or packets go in, and the time.
"""

from plivo_nb.lab.process import Lab

__all__ = ["Lab"]
