"""Whether these are a container's files, by what a user without privileges can read."""

import pytest

from collectors.host.tests.recorded_host import Watched, host

MODERN = "linux-6.12-written"
LXCFS = "lxcfs /proc/meminfo fuse.lxcfs rw,relatime 0 0\nlxcfs /proc/stat fuse.lxcfs rw,relatime 0 0\n"
WHOLE = "all but the network is the whole machine's, not the container's own"


def view(root):
    """Return what is said of the host, if it is a guest's view."""
    watched = Watched(root)
    watched.tick()
    return [each for each in watched.said if "guest" in each]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({}, None),
        ({"run/systemd/container": "systemd-nspawn\n"}, f"in systemd-nspawn {WHOLE} (/run/systemd/container)."),
        ({".dockerenv": ""}, f"in docker {WHOLE} (/.dockerenv)."),
        ({"run/.containerenv": ""}, f"in podman {WHOLE} (/run/.containerenv)."),
        ({"proc/1/cgroup": "9:cpu:/docker/0a1b2c\n0::/\n"}, f"in docker {WHOLE} (/proc/1/cgroup)."),
        ({"proc/1/cgroup": "4:memory:/lxc/web/init.scope\n"}, f"in lxc {WHOLE} (/proc/1/cgroup)."),
        ({"proc/1/cgroup": "0::/kubepods.slice/kubepods-pod1.slice/x\n"}, f"in kubepods {WHOLE} (/proc/1/cgroup)."),
        ({"proc/1/cgroup": "0::/init.scope\n"}, None),
        ({"proc/1/cgroup": "0::/system.slice/docker.service\n"}, None),
        (
            {"run/systemd/container": "lxc\n", "proc/self/mounts": LXCFS},
            ("lxc's own are /proc/meminfo, /proc/stat; the rest is the whole machine's, but for its network "
            "(/run/systemd/container)."),
        ),
        (
            {"proc/self/mounts": LXCFS},
            ("a container's own are /proc/meminfo, /proc/stat; the rest is the whole machine's, but for its network "
            "(/proc/self/mounts)."),
        ),
        ({".dockerenv": "", "proc/2/comm": "kthreadd\n"}, None),
        ({"run/systemd/container": "\x1b[2Jevil\n" + "x" * 9000}, "in evil xxxx"),
    ],
    ids=[
        "host", "nspawn", "docker", "podman", "docker, cgroup 1", "lxc, cgroup 1", "kubernetes", "cgroup 2",
        "a host of docker", "lxc", "lxcfs alone", "a machine made of an image", "a terminal's sequence",
    ],
)  # fmt: skip
def test_a_guest_is_told_by_what_it_can_read(root, files, sentence):
    """The sentence names its evidence; a host of its own has none."""
    host(root, MODERN)
    for name, content in files.items():
        root.write(name, content)
    found = view(root)
    assert len(found) == (sentence is not None)
    assert all(each.startswith(f"This is a guest's view: {sentence}") for each in found)
