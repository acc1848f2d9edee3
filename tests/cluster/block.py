"""Which addresses belong to this cluster alone? A locked 127.N.0.0/16, so that two clusters never meet."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import IO

PORTS = {
    "etcd": 12379,
    "peer": 12380,
    "apiserver": 16443,
    "controllers": 20257,
    "scheduler": 20259,
    "prometheus": 19090,
}


class Block:
    """Addresses 127.N.*.* and one folder, held by a file lock until closed or until this process ends."""

    def __init__(self) -> None:
        root = Path(tempfile.gettempdir()) / f"tocsin-{os.getuid()}"
        root.mkdir(mode=0o700, exist_ok=True)
        for number in range(1, 255):
            lock = (root / f"{number}.lock").open("w")
            if _lock(lock) and _free(f"127.{number}.0.1"):
                break
            lock.close()
        else:
            raise OSError(
                f"no 127.N.0.1 has the ports {sorted(PORTS.values())} free; is something listening on all addresses?"
            )
        self._lock = lock
        self.prefix = f"127.{number}"
        self.address = f"{self.prefix}.0.1"
        self.folder = root / str(number)
        shutil.rmtree(self.folder, ignore_errors=True)  # what a killed run left
        self.folder.mkdir(mode=0o700)

    def port(self, name: str) -> int:
        return PORTS[name]

    def at(self, name: str) -> str:
        return f"{self.address}:{PORTS[name]}"

    def close(self, *, keep: bool = False) -> None:
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.close()


def _lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _free(address: str) -> bool:
    for port in PORTS.values():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True
