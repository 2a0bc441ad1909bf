"""The agent's HTTP face: one small application for its TCP listeners and its control socket."""
