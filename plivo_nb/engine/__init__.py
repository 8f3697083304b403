"""What all clients of a kernel share: the loop guard, the plane, accounts, calls, samples, the log.

- `engine`: one per kernel loop; starts and stops the I/O plane, routes what crosses it, measures lag.
- `endpoint`: what an account and its calls may do when; `Client` delegates to it. `checks`: what users give.
- `listening`: events by callback, by awaiting one, as a stream. `views`: what can be seen.
- `work`: what a client has under way.
- `account`: one registration with one server, and its reconnection.
- `call_manager`: the rules of several calls of one account.
- `session`: one call; joins its SIP dialog and its media session by a table of states, `phases`.
- `renegotiation`: its offers and answers in mid-call. `ending`: how it ended. `memory`: its sound.
- `identity`: what a call is, and its snapshots. `digits`: DTMF as SIP INFO.
- `media_link`: the kernel's side of a call's media session.
- `sip_trace`: the SIP messages, masked.
- `causes`: from SIP codes, Reason headers and local reasons to the SDK's words.
- `tracking`: mediaMetrics events and the statistics service. `statistics`: what that is told of a call.
- `records`: what is kept of calls and samples, as frames. `log`: the bounded log.
- `peer_connection`: the object that `getPeerConnection()` gives.
"""
