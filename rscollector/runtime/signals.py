"""Signals: which of them end the agent, and that no other one does."""

import signal

ENDING = (signal.SIGTERM, signal.SIGINT)
_HARMLESS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def survive_harmless_signals() -> None:
    """Do nothing at signals that end who has no handler, such as logrotate's USR1, or a HUP that comes early.

    With handlers, and not ignored: what the agent starts would inherit that.
    """
    for number in _HARMLESS:
        signal.signal(number, lambda *_: None)


def hold_signals(*, ending: bool) -> None:
    """Let nothing that is sent from now on change how this process ends, which it does at once.

    Those that are `ending` it too, unless it may have to be told once more.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {*_HARMLESS, *(ENDING if ending else ())})
