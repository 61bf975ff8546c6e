"""The contract as the compiler of protocol buffers reads it, comments included."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

_SCRIPT = Path(__file__).parent.parent / "proto" / "describe.sh"


def described() -> FileDescriptorSet:
    """The files of tashihiki/v1, in the order of their names.

    Raises:
        subprocess.CalledProcessError: the compiler refused them; it says why on standard error.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "descriptors"
        subprocess.run([str(_SCRIPT), str(out)], check=True)
        return FileDescriptorSet.FromString(out.read_bytes())
