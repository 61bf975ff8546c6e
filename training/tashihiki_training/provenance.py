"""Where an encoder comes from."""

from __future__ import annotations

import platform
import sys
from collections import Counter
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tashihiki_training.initial_weights import InitialWeights
from tashihiki_training.settings import Settings
from tashihiki_training.trainer import Progress
from tashihiki_training.training_data import TrainingData

LIBRARIES = (
    "tashihiki", "torch", "torchvision", "cnn-finetune", "pytorch-metric-learning",
    "onnx", "openvino", "numpy", "pillow",
)  # fmt: skip


def provenance(
    source: Path,
    data: TrainingData,
    settings: Settings,
    weights: InitialWeights,
    progress: Progress,
    left_out: int,
) -> dict[str, Any]:
    """The manifest's `training`.

    Args:
        left_out: photos of the catalogue that were missing or unreadable.
    """
    return {
        "data": {
            "source": source.name,
            "fingerprint": data.fingerprint,
            "pictures": len(data.codes),
            "left_out": left_out,
            "facets": _facets(data),
        },
        "settings": asdict(settings),
        "initial_weights": asdict(weights),
        "epochs_run": progress.epoch,
        "best_epoch": progress.best_epoch,
        "outcome": outcome(progress),
        "seconds": round(sum(entry["seconds"] for entry in progress.history)),
        "command": command_line(),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def outcome(progress: Progress) -> str:
    """What training came to, in a sentence."""
    if progress.best_epoch:
        return f"exported epoch {progress.best_epoch} of {progress.epoch}"
    if not progress.epoch:
        return "nothing was trained; exported the initial weights"
    known = progress.history[0]["validation"]
    steered = "unseen combinations" if "unseen" in known else "validation"
    return f"training did not improve {steered}; exported the initial weights"


def command_line() -> list[str]:
    """The arguments, without the folders that only this machine has."""
    return ["tashihiki", *(_short(argument) for argument in sys.argv[1:])]


def _short(argument: str) -> str:
    return Path(argument).name if Path(argument).is_absolute() else argument


def _facets(data: TrainingData) -> dict[str, dict[str, int]]:
    return {
        facet: {
            values[code]: count
            for code, count in sorted(Counter(data.codes[:, number].tolist()).items())
            if code >= 0
        }
        for number, (facet, values) in enumerate(
            zip(data.vocabulary.facets, data.vocabulary.values, strict=True)
        )
    }
