"""The state of a training in one safetensors file, so that it is replaced at one stroke."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from tashihiki.errors import FailedPreconditionError

_MODEL, _OPTIMISER = "model.", "optimiser."


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by name, and counters that JSON can hold."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]

    def restore(self, network: nn.Module, optimiser: Optimizer) -> None:
        """Puts the weights and the optimiser back."""
        network.load_state_dict(_under(self.tensors, _MODEL))
        restored = optimiser.state_dict()
        restored["state"] = {}
        for name, tensor in _under(self.tensors, _OPTIMISER).items():
            number, key = name.split(".", 1)
            restored["state"].setdefault(int(number), {})[key] = tensor
        optimiser.load_state_dict(restored)

    def restore_network(self, network: nn.Module) -> None:
        """Puts the weights back."""
        network.load_state_dict(_under(self.tensors, _MODEL))


def take(network: nn.Module, optimiser: Optimizer, state: dict[str, Any]) -> Checkpoint:
    """The state of a training as it is now."""
    tensors = {_MODEL + name: tensor for name, tensor in network.state_dict().items()}
    for number, moments in optimiser.state_dict()["state"].items():
        for key, tensor in moments.items():
            if isinstance(tensor, Tensor):
                tensors[f"{_OPTIMISER}{number}.{key}"] = tensor
    return Checkpoint({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, state)


def write(checkpoint: Checkpoint, path: Path) -> None:
    """Writes a checkpoint; a reader finds the old one or the new one, never a part."""
    unfinished = path.with_suffix(".part")
    save_file(checkpoint.tensors, unfinished, {"state": json.dumps(checkpoint.state)})
    unfinished.replace(path)


def read(path: Path) -> Checkpoint:
    """Reads a checkpoint.

    Raises:
        FailedPreconditionError: CHECKPOINT_INVALID.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            state = json.loads((file.metadata() or {})["state"])
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise FailedPreconditionError(
            f"the checkpoint {path} cannot be read: {error}",
            reason="CHECKPOINT_INVALID",
            field="out",
            remedy="Train into another folder.",
        ) from error
    return Checkpoint(tensors, state)


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
