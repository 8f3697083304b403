"""The client of Plivo's statistics service.

- `messages`: the JSON messages. Keys, types and order are those recorded of the published SDK.
- `service`: sends them: a POST after the login, then a WebSocket, with a bounded queue and retries. It has
  tasks of its own on the kernel's loop and never delays a call.

Only with the option enableTracking. The addresses are the options statsUrl and insightsUrl. When the
signalling server is not Plivo's (the lab, a private server) and one of the two still has Plivo's address,
nothing is sent, so that no data about a private server's calls leave it (`is_wanted`).
"""

from __future__ import annotations

from plivo_nb.insights.messages import Subject
from plivo_nb.insights.service import Service, is_wanted

__all__ = ["Service", "Subject", "is_wanted"]
