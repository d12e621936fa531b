"""The machines that the README names find a wheel of every locked library: nothing is compiled there."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import parse_wheel_filename

HOME = Path(__file__).parents[1]
README = (HOME / "README.md").read_text()
PYTHONS = [(3, 11), (3, 12), (3, 13)]
SOURCE_ALONE = {"connection-pool", "docrep", "pims"}
"""Pure Python without a wheel: uv builds them without a compiler."""


def required() -> list[Requirement]:
    """Everything that the lock file installs for development and with all extras, one version each, by its marker."""
    uv = shutil.which("uv") or pytest.skip("uv is not on the path")
    plain = ["--no-hashes", "--no-emit-project", "--no-header", "--no-annotate"]
    command = [uv, "export", "--frozen", "--all-extras", *plain]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HOME, check=True)
    return [Requirement(line) for line in done.stdout.splitlines() if line.strip()]


def platforms(machine: str) -> list[str]:
    """Platform tags of the wheels that run on the oldest machine of the kind that the README names."""
    named = re.search(r"Linux \(x86-64, glibc 2\.(\d+) or newer\) or macOS (\d+) or newer", README)
    assert named, "the README says which machines it is for"
    glibc, macos = map(int, named.groups())
    if machine == "darwin":
        return list(mac_platforms((macos, 0), "arm64"))
    return [*(f"manylinux_2_{minor}_x86_64" for minor in range(glibc, 4, -1)), "manylinux2014_x86_64"]


@pytest.mark.parametrize("python", PYTHONS, ids=lambda python: f"{python[0]}.{python[1]}")
@pytest.mark.parametrize(("machine", "processor"), [("linux", "x86_64"), ("darwin", "arm64")])
def test_every_library_has_a_wheel(machine, processor, python):
    tags: set[Tag] = {*cpython_tags(python, platforms=platforms(machine))}
    tags |= {*compatible_tags(python, platforms=platforms(machine))}
    here = {"sys_platform": machine, "platform_machine": processor, "python_version": f"{python[0]}.{python[1]}"}
    here |= {"platform_system": machine.title(), "python_full_version": f"{python[0]}.{python[1]}.0", "extra": ""}
    here |= {"platform_python_implementation": "CPython", "implementation_name": "cpython", "os_name": "posix"}
    needed = [(r.name, str(r.specifier)) for r in required() if r.marker is None or r.marker.evaluate(here)]
    locked = {
        (package["name"], f"=={package['version']}"): [wheel["url"].rsplit("/")[-1] for wheel in package["wheels"]]
        for package in tomllib.loads((HOME / "uv.lock").read_text())["package"]
        if "wheels" in package
    }
    without = {pin[0] for pin in needed if not any(parse_wheel_filename(w)[3] & tags for w in locked.get(pin, []))}
    assert len(needed) > 100 and without == SOURCE_ALONE
