"""What an agent of version 0.1 starts, by this path, when the package under it was upgraded.

It answers whatever it is asked, in that agent's words, with what there is to do; that agent's log and
`status` show it. Asked to close it ends, for that agent would take an answer of a sink as the promise that it
keeps what it was given.
"""

import json
import socket
import sys

_REASON = "the package was upgraded; restart the agent (systemctl restart rscollector)"


def main(wire: int) -> None:
    """Answer until the agent asks for the end, or ends."""
    with socket.socket(fileno=wire) as agent, agent.makefile("rb") as questions:
        for line in questions:
            question = json.loads(line)
            if question["op"] == "close":
                return
            failed = {"op": "failed", "kind": "misconfigured", "reason": _REASON, "traceback": ""}
            agent.sendall(json.dumps({**failed, "seq": question["seq"]}).encode("ascii") + b"\n")


if __name__ == "__main__":
    main(int(sys.argv[2]))
