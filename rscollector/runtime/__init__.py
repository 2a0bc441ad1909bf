"""The agent and its workers: the only room with processes, timers and an event loop."""
