"""What libraries raise of files that are cut, overwritten or not what their names say."""

import gzip
import lzma
import tarfile
import zipfile
import zlib
from typing import Any

from isal import isal_zlib

RESULTS: Any = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)
"""Of files that one stage writes for another: npz and h5ad."""
PACKED: Any = (
    EOFError, zlib.error, isal_zlib.error, lzma.LZMAError, gzip.BadGzipFile, tarfile.TarError, zipfile.BadZipFile
)  # fmt: skip
"""Of archives and compressed files, besides what the system raises."""
HDF5: Any = (OSError, LookupError, ValueError, RuntimeError, TypeError, AttributeError, ArithmeticError)
"""Of HDF5 files by h5py, and by a walk through what it gives."""
