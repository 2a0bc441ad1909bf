"""What the agent decides, as values: no module in this room does I/O, reads a clock or draws a number."""
