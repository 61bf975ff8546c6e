"""Fixtures of the training tests."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from shapes_catalogue import write_shapes
from tashihiki_server.dataset import read_dataset
from tashihiki_training.pixels import load_pictures
from tashihiki_training.training_data import TrainingData
from tashihiki_training.training_run import training_data

# Tells every step of an export to whoever listens, and pytest listens: minutes of it.
logging.getLogger("torch.__trace").disabled = True

# Two threads wait for each other where other work shares the cores.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 45 pictures and labels.csv."""
    return write_shapes(tmp_path_factory.mktemp("shapes")).parent


@pytest.fixture(scope="session")
def shapes_data(
    shapes: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int], TrainingData]:
    """The shapes, decoded at a size."""
    dataset = read_dataset(shapes)
    scratch = tmp_path_factory.mktemp("scratch") / "pixels.npy"

    def at(size: int) -> TrainingData:
        return training_data(load_pictures(dataset.photos, size, scratch), dataset.facets, 0)

    return at
