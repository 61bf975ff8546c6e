"""What training starts from: ImageNet, a file, or chance."""

from __future__ import annotations

import pickle
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import torch
from rich.console import Console
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from tashihiki.errors import InvalidArgumentError, NotFoundError, UnavailableError
from tashihiki_server.encoder.manifest import sha256
from tashihiki_training.batch_norm import fold_batch_norm
from tashihiki_training.mobilenet import imagenet_url, make_stages

State = dict[str, Tensor]

# How state dicts call the feature stages: torchvision, cnn_finetune, and our checkpoints.
_PREFIX = re.compile(r"^(?:module\.)?(?:features|_features|model\.stages|stages)\.")
# How long a server may say nothing before a download is given up.
_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class InitialWeights:
    """Where the first weights come from.

    Attributes:
        name: of the file, or `imagenet` or `none`.
        sha256: of the file, or "".
        learnt_norm: whether batch norm has statistics of its own to go on from; not so where
            it was folded into the convolutions.
    """

    name: str
    sha256: str
    learnt_norm: bool


def initial_stages(weights: str) -> tuple[nn.Sequential, InitialWeights]:
    """The network to start from.

    Args:
        weights: `imagenet` (by download), `none` (random), or the path of a state dict: `.pth`
            with torchvision's names, or `.safetensors` with these or a checkpoint's own.

    Raises:
        NotFoundError: WEIGHTS_NOT_FOUND.
        InvalidArgumentError: WEIGHTS_INVALID.
        UnavailableError: WEIGHTS_UNAVAILABLE, the download failed.
    """
    if weights == "none":
        return make_stages(), InitialWeights("none", "", learnt_norm=True)
    path = _fetched() if weights == "imagenet" else Path(weights)
    if not path.is_file():
        raise NotFoundError(
            f"there is no file {path}",
            reason="WEIGHTS_NOT_FOUND",
            field="weights",
            remedy="Name a .pth or .safetensors file, or imagenet, or none.",
        )
    stages, learnt_norm = stages_from(read_state(path), path)
    name = "imagenet" if weights == "imagenet" else path.name
    return stages, InitialWeights(name, sha256(path), learnt_norm)


def read_state(path: Path) -> State:
    """The tensors of a `.pth` or `.safetensors` file; nothing in it is ever executed.

    Raises:
        InvalidArgumentError: WEIGHTS_INVALID.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (
        OSError,
        RuntimeError,
        ValueError,
        EOFError,
        SafetensorError,
        pickle.UnpicklingError,
    ) as error:
        raise _invalid(
            path, str(error).splitlines()[0] if str(error) else "it is cut short"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise _invalid(path, "it is not a state dict")
    return state


def stages_from(state: State, path: Path) -> tuple[nn.Sequential, bool]:
    """The network with these weights, and whether its batch norm has learnt statistics.

    A state dict without batch norm, as after folding, makes a network without it.
    """
    own = {_PREFIX.sub("", k): v for k, v in state.items() if _PREFIX.match(k)}
    stages = make_stages()
    if "0.1.running_var" not in own:
        fold_batch_norm(stages)
    try:
        stages.load_state_dict(own)
    except RuntimeError as error:
        raise _invalid(path, str(error).splitlines()[-1].strip()) from error
    return stages, _learnt_norm(own)


def _learnt_norm(state: State) -> bool:
    variances = [value for name, value in state.items() if name.endswith("running_var")]
    return any(bool((variance != 1).any()) for variance in variances)


def _fetched() -> Path:
    """The file of torchvision's ImageNet weights, downloaded unless it was before."""
    url = imagenet_url()
    name = PurePosixPath(urlsplit(url).path).name
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if path.is_file():
        return path
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    console.print(f"downloading the ImageNet weights, {url}")
    # torchvision's names end in the first digits of the file's SHA-256.
    digest = name.removesuffix(".pth").rpartition("-")[2]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _impatient():
            torch.hub.download_url_to_file(url, str(path), digest, sys.stderr.isatty())
    except (OSError, RuntimeError) as error:
        raise UnavailableError(
            f"the ImageNet weights could not be downloaded from {url}: {error}",
            reason="WEIGHTS_UNAVAILABLE",
            field="weights",
            remedy="Fetch that file where there is a network and pass it with --weights FILE: any "
            "state dict of a MobileNetV2 with torchvision's names will do, .pth or .safetensors.",
        ) from error
    return path


@contextmanager
def _impatient() -> Iterator[None]:
    # The library takes no time limit, and where packets are dropped it waits for minutes.
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _invalid(path: Path, why: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{path} holds no weights of a MobileNetV2: {why}",
        reason="WEIGHTS_INVALID",
        field="weights",
        remedy="Pass a state dict with torchvision's names.",
    )
