"""What a result may depend on beside data, configuration and code: the versions of libraries, and the machine."""

import functools
import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

LIBRARIES = ("faiss-cpu", "numpy", "pyarrow", "safetensors", "scipy", "torch")
"""Those whose arithmetic or file formats decide a model's bytes."""
CPU_INFO = Path("/proc/cpuinfo")


def surroundings() -> dict[str, dict[str, Any]]:
    """``libraries``: the version of each (Python's among them); ``hardware``: system, processor and usable cores."""
    libraries = {"python": platform.python_version()} | {name: library_version(name) for name in LIBRARIES}
    hardware = {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": usable_cores(),
    }
    return {"libraries": libraries, "hardware": hardware}


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """The processor's name."""
    if CPU_INFO.exists():
        for line in CPU_INFO.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


@functools.cache
def library_version(library: str) -> str:
    """The installed version of a library; ``absent`` where there is none."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
