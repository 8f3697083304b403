"""From received packets to continuous sound: jitter buffer, delay estimation, concealment, stretching."""
