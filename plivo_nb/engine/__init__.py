"""The call engine: what all clients of a kernel share, and the accounts and calls of each client.

- `engine`: one per kernel loop; starts and stops the I/O plane, routes its reports, measures the loop's lag.
- `endpoint`: what an account and its calls may do when; `Client` delegates to it.
- `account`: one registration with one server, its reconnection, and the requests of its calls.
- `call_manager`: the rules of several calls of one account.
- `call_session`: one call; joins its SIP dialog and its media session by one table of transitions.
- `negotiation`: offers and answers in mid-call. `dtmf`: digits.
- `media_link`: the kernel's side of a call's media session.
- `causes`: from SIP codes, Reason headers and local failures to the words of Plivo's SDK.
- `media_metrics`: mediaMetrics events. `insights_reporter`: the messages for Plivo's statistics service.
- `records`: calls, samples and mediaMetrics as frames. `log`: the bounded log. `sip_trace`: the SIP messages.
- `peer_connection`: the object that `getPeerConnection()` returns.
- `validation`, `listening`, `views`, `work`: parts of `Client`.
- `audio/`: which device, tone and source is used when.
"""
