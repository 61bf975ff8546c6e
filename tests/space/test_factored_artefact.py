"""A fit on disk: the same again, or an error."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from space.labelled import drawn
from tashihiki_server.space.factored import (
    DamagedSpaceError,
    FactoredFit,
    FactoredSpace,
    FitSettings,
    fit_factored,
    read_fit,
    write_fit,
)

DATA = drawn(100, 16, (4, 3))


@pytest.fixture
def fit() -> FactoredFit:
    labels = np.column_stack([DATA.labels, np.zeros(100, int)])
    chosen = FitSettings(separation=float("inf"))
    return fit_factored(DATA.embeddings, labels, ("person", "表情", "single"), chosen)


@pytest.fixture
def folder(fit: FactoredFit, tmp_path: Path) -> Path:
    write_fit(fit, tmp_path / "space")
    return tmp_path / "space"


def test_a_fit_comes_back_bit_by_bit(fit: FactoredFit, folder: Path) -> None:
    found = read_fit(folder)
    for field in fields(FactoredFit):
        ours, theirs = getattr(found, field.name), getattr(fit, field.name)
        if isinstance(theirs, np.ndarray):
            assert ours.dtype == theirs.dtype
            assert_array_equal(ours, theirs)
        else:
            assert ours == theirs, field.name
    assert found.identity == fit.identity
    assert found.blocks == fit.blocks
    one, other = FactoredSpace(found), FactoredSpace(fit)
    assert_array_equal(one.project(DATA.embeddings), other.project(DATA.embeddings))


def test_a_folder_holds_two_files_and_can_be_written_again(fit: FactoredFit, folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["space.json", "space.npz"]
    other = fit_factored(DATA.embeddings, DATA.labels, DATA.facets)
    write_fit(other, folder)
    assert read_fit(folder).identity == other.identity != fit.identity


@pytest.mark.parametrize("name", ["space.json", "space.npz"])
def test_any_changed_byte_is_found(folder: Path, name: str) -> None:
    path = folder / name
    content = path.read_bytes()
    for at in np.linspace(0, len(content) - 1, 40).astype(int):
        changed = bytearray(content)
        changed[at] ^= 1
        path.write_bytes(changed)
        try:
            found = read_fit(folder)
        except DamagedSpaceError:
            continue
        # White space of the JSON's says nothing, nor may the last digit of a number.
        path.write_bytes(content)
        assert found.diagnostics == read_fit(folder).diagnostics
        assert name == "space.json"
        assert content[at : at + 1].strip() in b"0123456789"


@pytest.mark.parametrize("name", ["space.json", "space.npz"])
def test_files_that_are_cut_short_or_gone_are_found(folder: Path, name: str) -> None:
    path = folder / name
    content = path.read_bytes()
    for length in (0, 1, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(DamagedSpaceError):
            read_fit(folder)
    path.unlink()
    with pytest.raises(DamagedSpaceError) as caught:
        read_fit(folder)
    assert caught.value.reason == "SPACE_DAMAGED"


def test_files_of_two_fits_do_not_go_together(folder: Path, tmp_path: Path) -> None:
    write_fit(fit_factored(DATA.embeddings, DATA.labels, DATA.facets), tmp_path / "other")
    (tmp_path / "other" / "space.npz").replace(folder / "space.npz")
    with pytest.raises(DamagedSpaceError):
        read_fit(folder)


def rewritten(folder: Path, **changes: object) -> None:
    """Changes facts, with checksums that fit."""
    path = folder / "space.json"
    content = {**json.loads(path.read_text()), **changes}
    arrays = (folder / "space.npz").read_bytes()
    content["arrays"] = {"size": len(arrays), "sha256": hashlib.sha256(arrays).hexdigest()}
    del content["checksum"]
    facts = json.dumps(content, sort_keys=True).encode()
    path.write_text(json.dumps({**content, "checksum": hashlib.sha256(facts).hexdigest()}))


def test_another_version_is_not_opened(folder: Path) -> None:
    rewritten(folder)
    read_fit(folder)
    rewritten(folder, format=2)
    with pytest.raises(DamagedSpaceError, match="format is 2"):
        read_fit(folder)


def test_pickles_are_not_opened(folder: Path, fit: FactoredFit) -> None:
    ran = folder / "ran"

    class Harm:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (ran,)

    with (folder / "space.npz").open("wb") as file:
        np.savez(file, mean=fit.mean, matrix=np.array([Harm()], dtype=object))
    rewritten(folder)
    with pytest.raises(DamagedSpaceError):
        read_fit(folder)
    assert not ran.exists()


@pytest.mark.parametrize(
    "changes",
    [{"ranks": [1, 1]}, {"facets": ["a"]}, {"dimension": 3}, {"rest_rank": None}, {"facets": 7}],
)
def test_parts_that_do_not_go_together_are_found(folder: Path, changes: dict[str, object]) -> None:
    rewritten(folder, **changes)
    with pytest.raises(DamagedSpaceError):
        read_fit(folder)
