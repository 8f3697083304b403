"""The call engine: what all clients of a kernel share, and the accounts and calls of each client.

- `engine`: one per kernel loop; starts and stops the I/O plane, routes its reports, measures the loop's lag.
- `endpoint`: one account and its calls, and when each method may be called; `Client` delegates to it.
- `account`: one registration with one server, its reconnection, and the requests of its calls.
- `call_manager`: the rules of several calls of one account.
- `call_session`: one call; joins its SIP dialog and its media session by one table of transitions.
- `negotiation`: offers and answers during a call. `dtmf`: DTMF digits.
- `media_link`: the kernel's side of a call's media session.
- `causes`: the causes of Plivo's SDK, from SIP codes, Reason headers and local failures.
- `media_metrics`: mediaMetrics events. `insights_reporter`: the messages for Plivo's statistics service.
- `records`: calls, samples and mediaMetrics as frames. `log`: the bounded log. `sip_trace`: the SIP messages.
- `peer_connection`: the object that `getPeerConnection()` returns.
- `validation`: checks of extraHeaders, DTMF digits and quality feedback.
- `audio/`: selects devices, tones and sources.
"""
