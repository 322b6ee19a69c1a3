"""Which versions are here, and what else the last digits of a result depend on."""

import platform
import re
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def installed(name: str) -> str:
    """The version of the package `name`; "not installed" also of this one, where it runs from a plain checkout."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def origin() -> dict[str, str]:
    """On which day, by which processor and with which BLAS: what the last digits of a result depend on."""
    from threadpoolctl import threadpool_info

    cpuinfo = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.*)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.exists() else []
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    kernels = {f"{p['internal_api']} {p['version']} {p.get('architecture', '')}".strip() for p in pools}
    return {
        "date": date.today().isoformat(),
        "machine": names[0] if names else platform.processor() or platform.machine(),
        "blas": ", ".join(sorted(kernels)),
    }
