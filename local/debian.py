"""Debian's packages for the tests, where this is a Debian or Ubuntu with root rights."""

import os
import shutil
import subprocess


def install(package: str) -> bool:
    """Install the package; False where that is impossible. What apt says of a failure stands on the screen."""
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return False
    print(f"Installing Debian's {package} …", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package]
    if subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode == 0:
        return True
    subprocess.run(["apt-get", "update", "-qq"], env=environment, check=False)
    return subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False).returncode == 0
