"""What the processor can do."""

from pathlib import Path


def has_avx2(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor has the instructions of OpenBLAS' Haswell kernel, without which it is killed.

    Args:
        cpuinfo: Linux' description of the processor; elsewhere there is none, and the answer is no.
    """
    return cpuinfo.exists() and "avx2" in cpuinfo.read_text().split()
