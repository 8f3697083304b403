"""A SIP user agent without sockets, clock or threads (RFC 3261 over a WebSocket, RFC 7118).

Read it in this order:

    values, headers, model      what a message is made of
    message                     the only door for what comes from the wire
    digest                      proving a password, both sides
    timers, transaction(_layer) a request and its responses: figures 5 to 8 as tables
    dialog, offer_answer        what two phones remember of each other; whose turn it is to offer
    core, exchange              what all parts share; a request until its last response, challenges answered
    registration                keeping the server's knowledge of where we are
    caller, callee, two_xx  a call until its answer, from each side
    call, reinvite              the answered call; session_timer: how it notices that the other side is gone
    dispatch, user_agent        where a request goes; the surface: messages, time in, messages, events out
    events, trace               what the user is told; every message, its secrets masked
"""
