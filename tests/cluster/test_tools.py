"""Do the parts that need no cluster keep their word?"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster import tools
from tests.cluster.block import Block
from tests.cluster.process import Process, StartError

ROOT = Path(__file__).parents[2]


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def eventually(fact: Callable[[], bool]) -> bool:
    waiter = Process("sleep", ["sleep", "5"], Path("/dev/null"))
    waiter.start()
    try:
        waiter.until(fact, 4)
    finally:
        waiter.stop()
    return True


def test_without_go_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("TOCSIN_CACHE", str(tmp_path / "cache"))
    with pytest.raises(tools.ToolError, match=r"Go 1\.26 or newer, and it is not installed\. Install Go .*KUBECONFIG"):
        tools.ensure("etcd")


def test_every_tool_is_pinned_by_its_folder() -> None:
    for tool in tools.TOOLS:
        wanted = (tool.folder / "go.mod").read_text()
        assert all(package in wanted for package in tool.packages)
        assert "=> ." not in wanted
        assert (tool.folder / "go.sum").exists()


def test_a_killed_parent_leaves_no_process(tmp_path: Path) -> None:
    code = (
        "import time; from pathlib import Path; from tests.cluster.process import Process\n"
        f"p = Process('child', ['sleep', '60'], Path({str(tmp_path / 'log')!r})); p.start(); print(p.pid, flush=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert eventually(lambda: Path(f"/proc/{child}/comm").read_text() == "sleep\n"), "its leash is on by then"
        parent.send_signal(signal.SIGKILL)
    assert eventually(lambda: gone(child))


def test_a_component_that_ends_early_shows_the_end_of_its_log(tmp_path: Path) -> None:
    process = Process("etcd", ["sh", "-c", "echo no such flag; exit 3"], tmp_path / "log")
    process.start()
    with pytest.raises(StartError, match=r"(?s)etcd ended with 3.*no such flag"):
        process.until(lambda: False, 5)


def test_two_blocks_never_share_an_address() -> None:
    first, second = Block(), Block()
    try:
        assert first.prefix != second.prefix
        assert first.folder != second.folder
    finally:
        first.close()
        second.close()
