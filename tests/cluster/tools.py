"""Where do the cluster's binaries come from? Pinned Go modules, built once into a cache outside the checkout."""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

KUBERNETES = "v1.37.2"
_VERSION = "k8s.io/component-base/version"
_STAMP = f"-X {_VERSION}.gitVersion={KUBERNETES} -X {_VERSION}.gitMajor=1 -X {_VERSION}.gitMinor=37"
_GO = (1, 26)


class ToolError(Exception):
    """A tool cannot be had; the message says what to do."""


@dataclass(frozen=True)
class Tool:
    """One folder under tools/: a go.mod that pins it, the packages built from it, and how."""

    name: str
    packages: tuple[str, ...]
    flags: tuple[str, ...] = ("-ldflags=-s -w",)

    @property
    def folder(self) -> Path:
        return Path(__file__).parent / "tools" / self.name

    @property
    def binaries(self) -> tuple[str, ...]:
        return tuple(re.sub(r"/v\d+$", "", package).rsplit("/", 1)[-1] for package in self.packages)

    @property
    def key(self) -> str:
        texts = [(self.folder / name).read_text() for name in ("go.mod", "go.sum")]
        return hashlib.sha256("\0".join([*texts, *self.packages, *self.flags]).encode()).hexdigest()[:16]


TOOLS = (
    Tool("etcd", ("go.etcd.io/etcd/server/v3",)),
    Tool(
        "kubernetes",
        tuple(
            f"k8s.io/kubernetes/cmd/{name}"
            for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
        ),
        (f"-ldflags=-s -w {_STAMP}",),
    ),
    Tool(
        "prometheus",
        ("github.com/prometheus/prometheus/cmd/prometheus",),
        ("-ldflags=-s -w", "-tags=remove_all_sd,enable_kubernetes_sd,netgo"),
    ),
    Tool("helm", ("helm.sh/helm/v4/cmd/helm",)),
    Tool("kind", ("sigs.k8s.io/kind",)),
    Tool("argo-rollouts", ("github.com/argoproj/argo-rollouts/cmd/rollouts-controller",)),
    Tool("alertmanager", ("github.com/prometheus/alertmanager/cmd/alertmanager",)),
    Tool("flagger", ("github.com/fluxcd/flagger/cmd/flagger",)),
)
DEFAULT = ("etcd", "kubernetes", "prometheus", "helm")


def cache() -> Path:
    """The folder for everything that outlives a run; safe to delete. TOCSIN_CACHE overrides it."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("TOCSIN_CACHE") or Path(base) / "tocsin")


def ensure(*names: str) -> dict[str, Path]:
    """The binary of each name of these tools, built first where the cache lacks it."""
    wanted = [tool for tool in TOOLS if tool.name in (names or DEFAULT)]
    found = {tool: _cached(tool) for tool in wanted}
    missing = [tool for tool, folder in found.items() if folder is None]
    started = time.monotonic()
    for number, tool in enumerate(missing, 1):
        found[tool] = _build(tool, f"{number} of {len(missing)}", started)
    return {
        "etcd" if name == "server" else name: folder / name
        for tool, folder in found.items()
        if folder is not None
        for name in tool.binaries
    }


def source(module: str, tool: str) -> Path:
    """Where the source of a module lies that a tool is built from, with what it ships beside code."""
    (folder,) = (one.folder for one in TOOLS if one.name == tool)
    environment = os.environ | {"GOTOOLCHAIN": "local"}
    command = ["go", "mod", "download", "-json", module]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=True)
    return Path(json.loads(done.stdout)["Dir"])


def _home(tool: Tool) -> Path:
    return cache() / "tools" / tool.name / tool.key


def _cached(tool: Tool) -> Path | None:
    """The newest build of exactly this tool; one by this machine's Go version where Go is there."""
    version = _go_version()
    builds = sorted(_home(tool).glob("go*"), key=lambda folder: folder.stat().st_mtime)
    return next((b for b in reversed(builds) if version is None or b.name == version), None)


def _go_version() -> str | None:
    if shutil.which("go") is None:
        return None
    environment = os.environ | {"GOTOOLCHAIN": "local"}
    done = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, env=environment, check=False)
    return done.stdout.split()[0] if done.stdout.split() else None


def _go() -> str:
    version = _go_version()
    number = re.match(r"go(\d+)\.(\d+)", version or "")
    if version is None or number is None or (int(number[1]), int(number[2])) < _GO:
        state = f"it is {version}" if version else "it is not installed"
        raise ToolError(
            f"The test cluster is built with Go {_GO[0]}.{_GO[1]} or newer, and {state}. Install Go (your system's "
            "package, or the release of the Go project) and run this again; or use a cluster you have: "
            "TOCSIN_CLUSTER=kubeconfig with KUBECONFIG set; or TOCSIN_CLUSTER=kind where Docker runs."
        )
    return version


def _build(tool: Tool, position: str, started: float) -> Path:
    version = _go()
    home = _home(tool)
    home.mkdir(parents=True, exist_ok=True)
    with _locked(home / "lock", tool.name):
        if (built := _cached(tool)) is not None:
            return built
        scratch = Path(tempfile.mkdtemp(dir=home, prefix="building-"))
        try:
            _compile(tool, scratch, f"building {tool.name} ({position})", started)
            return scratch.rename(home / version)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _compile(tool: Tool, out: Path, what: str, started: float) -> None:
    environment = os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -buildvcs=false"}
    command = ["go", "build", "-trimpath", *tool.flags, "-o", f"{out}/", *tool.packages]
    with tempfile.TemporaryFile("w+") as log:
        with subprocess.Popen(command, cwd=tool.folder, env=environment, stdout=log, stderr=log) as process:
            try:
                while process.poll() is None:
                    _say(
                        f"{what}: {time.monotonic() - started:.0f} s; the first time only, about 12 minutes on 2 cores"
                    )
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(timeout=1 if sys.stderr.isatty() else 30)
            finally:
                process.kill()
        if process.returncode != 0:
            log.seek(0)
            raise ToolError(f"go build of {tool.name} failed:\n{log.read()[-4000:]}")
    _say(f"{what}: done after {time.monotonic() - started:.0f} s", end="\n")


def _say(line: str, end: str = "") -> None:
    tty = sys.stderr.isatty()
    sys.stderr.write(f"\r\033[K{line}{end}" if tty else f"{line}\n")
    sys.stderr.flush()


@contextmanager
def _locked(path: Path, name: str) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(f"waiting for another run that builds {name}", end="\n")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.tools", description=__doc__)
    parser.add_argument("action", choices=("build", "list"), help="build what is missing, or list what is cached")
    parser.add_argument("tool", nargs="*", help=f"default: {' '.join(DEFAULT)}")
    arguments = parser.parse_args()
    names = arguments.tool or DEFAULT
    if unknown := set(names) - {tool.name for tool in TOOLS}:
        parser.error(f"no such tool: {', '.join(sorted(unknown))}")
    try:
        if arguments.action == "build":
            ensure(*names)
        for tool in TOOLS:
            if tool.name in names:
                sys.stdout.write(f"{tool.name:12} {_cached(tool) or 'not built'}\n")
    except ToolError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
