"""Imports of libraries that import others which this package does not use."""

import importlib
import sys
from types import ModuleType


def lean(library: str, *, without: str) -> ModuleType:
    """The library, imported as if the other one were not installed, unless either is there already.

    Drawing and learning for interfaces that are not used here cost half a second per job.
    """
    hide = without not in sys.modules and library not in sys.modules
    if hide:
        sys.modules[without] = None  # type: ignore[assignment]
    try:
        return importlib.import_module(library)
    finally:
        if hide:
            del sys.modules[without]
