"""What the agent tells systemd: sd_notify(3) over a datagram socket. Without systemd nothing is said."""

import os
import socket
import time


class Notifier:
    """The notification socket of the service manager. A message that cannot be sent at once is lost."""

    def __init__(self, address: str | None) -> None:
        self._address = "\0" + address[1:] if address and address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) if address else None
        if self._socket:
            self._socket.setblocking(False)

    @classmethod
    def from_environment(cls) -> "Notifier":
        """Return the notifier that the service manager asked for."""
        return cls(os.environ.pop("NOTIFY_SOCKET", None))

    def ready(self) -> None:
        """Say that the agent is up, or up again after a reload."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Say that a reload has begun."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Say that the agent is ending."""
        self._send("STOPPING=1")

    def alive(self, status: str) -> None:
        """Feed the watchdog and tell a line for `systemctl status`."""
        self._send(f"WATCHDOG=1\nSTATUS={status}")

    def close(self) -> None:
        """Give the socket back."""
        if self._socket:
            self._socket.close()

    def _send(self, message: str) -> None:
        if self._socket and self._address:
            try:
                self._socket.sendto(message.encode(), self._address)
            except OSError:  # a full or vanished socket: the next message tells as much
                return
