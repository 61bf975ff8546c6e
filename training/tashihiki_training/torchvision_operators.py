"""Lets torchvision be imported beside a torch that its compiled operators do not fit.

PyPI's torchvision is built against the CUDA torch of the same version. Beside a CPU-only
torch its C++ library does not load, and its import then fails because it registers fake
versions of two detection operators that nobody has declared. Nothing here ever calls
them; declaring them is enough.
"""

from __future__ import annotations

import torch
from torch.library import Library

SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}

# A library's declarations vanish with it.
_libraries: list[Library] = []


def declare_missing_operators() -> list[str]:
    """Declares those of torchvision's operators whose lack breaks its import.

    Returns:
        The names that were missing.
    """
    missing = [name for name in SCHEMAS if not _loads(name)]
    if missing:
        library = Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for name in missing:
            library.define(SCHEMAS[name])  # type: ignore[no-untyped-call]
        _libraries.append(library)
    return missing


def _loads(name: str) -> bool:
    return hasattr(torch.ops.torchvision, name)
