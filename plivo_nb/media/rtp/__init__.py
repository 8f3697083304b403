"""RTP and RTCP: packets, counters, telephone-events, captures, and one audio stream in both directions."""
