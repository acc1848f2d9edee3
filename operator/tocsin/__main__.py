"""The composition root: settings become parts, parts become a running operator."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import structlog

from tocsin import __version__
from tocsin.apiserver import ApiServer
from tocsin.clock import SystemClock
from tocsin.engine.engine import Engine
from tocsin.engine.leader import Leader
from tocsin.engine.probes import Probes
from tocsin.handlers.doors import Doors
from tocsin.observe.prometheus import Prometheus
from tocsin.settings import Settings, SettingsError, load_settings

log = structlog.get_logger()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the operator; returns the process's exit code."""
    arguments = _parser().parse_args(argv)
    _log(arguments.log_level)
    try:
        settings = load_settings(arguments.settings)
    except SettingsError as wrong:
        log.error("the settings cannot be used", error=str(wrong))
        return 2
    admission = arguments.settings.with_name("admission.json")
    expected = json.loads(admission.read_text()) if admission.exists() else None
    return asyncio.run(_run(arguments, settings, expected))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tocsin", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the operator, by KUBECONFIG or in a pod")
    run.add_argument("--settings", type=Path, required=True, help="the YAML file with the operator's settings")
    run.add_argument("--bind", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    run.add_argument("--probe-port", type=int, default=8080, help="for /healthz and /readyz (default: %(default)s)")
    run.add_argument("--metrics-port", type=int, default=9090, help="for /metrics (default: %(default)s)")
    run.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    return parser


def _log(level: str) -> None:
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    # It warns at each start that it does not handle signals: it runs in a thread, and must not.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


async def _run(arguments: argparse.Namespace, settings: Settings, admission: dict[str, Any] | None) -> int:
    clock = SystemClock()
    api = await ApiServer.connect()
    namespace = os.environ.get("POD_NAMESPACE", "default")
    identity = os.environ.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}"
    executors = {name: ThreadPoolExecutor(8, thread_name_prefix=f"prometheus-{name}") for name in settings.prometheus}
    sources = {name: Prometheus(name, server, executors[name]) for name, server in settings.prometheus.items()}
    leader = Leader(api, clock, namespace, identity, duration=settings.lease_duration.total_seconds())
    engine = Engine(api, clock, settings, sources, namespace, identity, admission, leader)
    probes, doors = Probes(engine, clock), Doors(engine)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    log.info("starting", version=__version__, identity=identity, namespace=namespace, prometheus=sorted(sources))
    running = asyncio.create_task(engine.run())
    stopping = asyncio.create_task(stop.wait())
    try:
        await probes.serve(arguments.bind, arguments.probe_port, arguments.metrics_port)
        doors.open()
        await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        log.info("stopping")
        stopping.cancel()
        running.cancel()
        await asyncio.gather(running, stopping, return_exceptions=True)
        await leader.release()
        await doors.close(5.0)
        await probes.close()
        for source in sources.values():
            source.close()
        for executor in executors.values():
            executor.shutdown(cancel_futures=True)
        await api.close()
    if running.done() and not running.cancelled() and (error := running.exception()):
        log.error("the engine ended", error=repr(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
