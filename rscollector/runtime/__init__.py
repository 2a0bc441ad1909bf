"""The agent: the only room with an event loop, timers and processes.

(`worker.py` is no part of it: it is what agents of version 0.1 start, whose package was upgraded.)
"""
