"""A SIP user agent without sockets, clock or threads (RFC 3261 over a WebSocket, RFC 7118).

The modules, in the order in which to read them:

    values, headers, model      header fields, requests and responses
    message                     parsing and checking of received messages
    digest                      digest authentication, client and server side
    timers, transaction         timers; a request and its responses, as the state tables of RFC 3261
    dialog, negotiation         dialogs; offer and answer
    core                        what all parts of one user agent share
    client_request              a request until its final response, with challenges answered
    registration                the registration and its refreshes
    uac, uas, two_xx            a call until its answer, on either side; the 2xx until its ACK
    call, reinvite              an answered call; changes of its session
    session_timer               session timers (RFC 4028)
    dispatch                    received requests, and what processes them
    user_agent                  the interface: messages and time in, messages and events out
    events, trace               the events; the record of each message, with secrets masked
"""
