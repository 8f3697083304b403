"""The media path between the parties of the lab's calls: relay, impairment, scenarios."""
