"""A real NFS mount whose cable is cut, in a user-mode Linux; its sibling with FUSE always runs (test_hanging.py)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE, ROOT = Path(__file__).parent, Path(__file__).resolve().parents[3]


@pytest.mark.long
@pytest.mark.needs("root", "linux.uml", "rpc.nfsd", "rpc.mountd", "mount.nfs", "kmod", "ip")
def test_a_hard_nfs_mount_hangs_and_comes_back(tmp_path):
    """Its answer alone is missing while the cable is out, one child waits at a time, and then it is right again."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "TIME": "200"}
    command = [HERE / "boot_nfs.sh", tmp_path, sys.executable, HERE / "nfs_scenario.py"]
    subprocess.run(command, cwd=ROOT, env=environment, timeout=250, check=False)
    assert (tmp_path / "status").read_text() == "0\n", (tmp_path / "errors").read_text()
    ticks = [json.loads(line) for line in (tmp_path / "result").read_text().splitlines()]
    well, cut, still, renewed, *back = ticks
    for each in ticks:
        print(f"{each['what']}: responding {each['responding']}, {each['seconds']:.2f} s, {each['notes']}")
        assert each["others"] > 0
        assert each["questions"] <= 1
    assert (well["responding"], well["size"]) == (1, 64 << 20)
    for each in (cut, still, renewed):
        assert (each["responding"], each["size"], each["states"]) == (0, None, ["D"])
        assert each["notes"][0].startswith("missing: /mnt/nas (nfs4 from 10.8.0.1:/) does not answer for ")
        assert each["notes"][0].endswith("the question waits in rpc_wait_bit_killable")
    assert still["seconds"] < cut["seconds"] / 2
    assert (back[-1]["responding"], back[-1]["size"]) == (1, 64 << 20)
