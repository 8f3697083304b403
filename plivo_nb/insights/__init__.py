"""Plivo's statistics service: what is told to it about calls, and how (spec.md section 7).

- `messages`: what is said. Keys, types and order are those recorded of the published SDK.
- `service`: how it gets there: a POST after the login, then a WebSocket; a bounded queue and retries. It has
  tasks of its own on the kernel's loop and never touches a call.

Only with the option enableTracking. The service is contacted at the options statsUrl and insightsUrl. When
the signalling server is not Plivo's (the lab, a private server) and one of the two is left at Plivo's
address, nothing is contacted at all: calls of a private server are none of Plivo's business (`is_wanted`).
"""

from __future__ import annotations

from plivo_nb.insights.messages import Subject
from plivo_nb.insights.service import Service, is_wanted

__all__ = ["Service", "Subject", "is_wanted"]
