"""The facts about this machine that a figure needs beside it. No host name, no user, no path."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench import go

PEERS = ("penstock", "janus", "culsans", "anyio", "trio", "pytest", "pyleak", "pytest-threadleak")


def facts() -> dict[str, object]:
    """Python, processor, system, load, peers' versions and the date, ready for JSON."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
        "switch_interval_seconds": sys.getswitchinterval(),
        "cpus": _usable_cpus(),
        "processor": _processor(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load_average": _load(),
        "packages": {name: _version(name) for name in PEERS},
        "go": go.version(),
    }


def sentence(facts: dict[str, object]) -> str:
    """The same for people, in one line."""
    packages = facts["packages"]
    assert isinstance(packages, dict)
    versions = ", ".join(f"{name} {number}" for name, number in packages.items() if number)
    return (
        f"{facts['date']}: {facts['python']}, {facts['cpus']} CPUs ({facts['processor']}), {facts['platform']}, "
        f"load {facts['load_average']}; {versions}; {facts['go'] or 'no Go toolchain'}"
    )


def _usable_cpus() -> int:
    """What this process may use, which in a container is less than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _load() -> float | None:
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    """The model's name on Linux, where ``platform`` does not know it."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"
