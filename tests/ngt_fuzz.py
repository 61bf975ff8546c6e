"""Drives NGT's wall with whatever numpy can make: `ngt_fuzz.py FOLDER search|build EXAMPLES`.

Run in a process of its own. FOLDER/last names the last case, which is the one that ended it.
"""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections import Counter
from itertools import count as numbers
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tashihiki_server.index.ngt import MAX_EPSILON, NgtIndex, build_ngt

ROWS, DIMENSION = 60, 5
HUGE = (2**31, 2**32 + 7, 2**63, 2**64, 10**30, -(2**31), -(2**63))
SCALARS: tuple[Any, ...] = (
    None,
    0.5,
    7,
    "x",
    b"x",
    [],
    [[]],
    [None] * DIMENSION,
    {},
    [[1], [1, 2]],
    object(),
)
DTYPES = ("f4", "f8", "f2", "i1", "i8", "u4", "?", "c8", "U3", "S2", "M8[s]")
SPOILING = (np.nan, np.inf, -np.inf, 1e38, 1e-45, 0.0, -0.0)
CUTS = (slice(1, None), slice(0, 0), slice(None, None, 2), None)


def unit(array: Any) -> Any:
    with np.errstate(all="ignore"):
        return array / np.linalg.norm(array.astype(np.float64), axis=-1, keepdims=True)


ROWS_OF_LENGTH_1 = unit(np.random.default_rng(0).normal(size=(ROWS, DIMENSION))).astype(np.float32)


@st.composite
def laid_out(draw: st.DrawFn, array: Any) -> Any:
    """The same numbers, otherwise in memory."""
    kind = draw(st.sampled_from(["as it is", "strided", "reversed", "Fortran", "type", "locked"]))
    if kind == "strided" and array.ndim:
        array = np.repeat(array, 2, axis=-1)[..., ::2]
    if kind == "reversed" and array.ndim:
        array = array[::-1].copy()[::-1]
    if kind == "Fortran":
        array = np.asfortranarray(array)
    if kind == "type" and array.dtype.kind == "f":
        with np.errstate(all="ignore"):
            array = array.astype(draw(st.sampled_from([">f4", "<f8", ">f8"])))
    if kind == "locked":
        array = array.copy()
        array.setflags(write=False)
    return array


@st.composite
def hostile(draw: st.DrawFn, sound: Any) -> Any:
    """Anything, at times the sound array or one that looks like it."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from(SCALARS))
    if draw(st.booleans()):
        shapes = st.one_of(
            st.sampled_from([(), (DIMENSION,), (ROWS, DIMENSION)]),
            arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=9),
        )
        dtypes = st.sampled_from(DTYPES).map(np.dtype)
        array: Any = draw(arrays.arrays(draw(dtypes), draw(shapes)))
        if array.dtype.kind == "f" and array.ndim and draw(st.booleans()):
            array = unit(array)
    else:
        array = sound.copy()
        if draw(st.booleans()):
            array.flat[draw(st.integers(0, array.size - 1))] = draw(st.sampled_from(SPOILING))
        if draw(st.integers(0, 3)) == 0:
            array = array[draw(st.sampled_from(CUTS))]
    return draw(laid_out(array))


COUNTS = st.one_of(
    st.integers(-3, ROWS + 3),
    st.sampled_from([*HUGE, None, 1.5, "3", np.int64(4), np.float32(2), True, np.array([3])]),
)
EPSILONS = st.one_of(
    st.floats(0, MAX_EPSILON),
    st.sampled_from([math.nan, math.inf, -1, 1e30, None, "0.1", 11, True, 10**400]),
)
EDGES = st.one_of(st.integers(-3, 200), st.sampled_from([*HUGE, None, 2.5, "4"]))


def is_unit(array: Any, shape: tuple[int, ...]) -> bool:
    """Whether there is no reason to refuse it."""
    try:
        found = np.asarray(array)
    except (ValueError, TypeError):
        return False
    if found.dtype.kind not in "fiu" or found.shape != shape:
        return False
    with np.errstate(all="ignore"):
        lengths = np.linalg.norm(found.astype(np.float32).astype(np.float64), axis=-1)
    return bool((np.abs(lengths - 1) < 0.999e-3).all())


class Fuzz:
    def __init__(self, folder: Path, examples: int) -> None:
        self.folder = folder
        self.tried: Counter[str] = Counter()
        self.settings = settings(
            max_examples=examples,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )

    def note(self, *case: Any) -> None:
        (self.folder / "last").write_text(repr(case)[:4000], encoding="utf-8")

    def search(self) -> None:
        rows = ROWS_OF_LENGTH_1
        build_ngt(rows, self.folder / "sound", 1)
        index = NgtIndex(self.folder / "sound", count=ROWS, dimension=DIMENSION)

        @seed(1)
        @self.settings
        @given(hostile(rows[3]), COUNTS, EPSILONS, EDGES)
        def check(query: Any, count: Any, epsilon: Any, edge_size: Any) -> None:
            self.note(type(query), getattr(query, "dtype", ""), query, count, epsilon, edge_size)
            try:
                found = index.search(query, count, epsilon, edge_size)
            except ValueError:
                self.tried["refused"] += 1
                kinds = isinstance(count, int) and isinstance(edge_size, int)
                fair = kinds and isinstance(epsilon, float) and edge_size >= 0
                assert not (fair and 0 <= epsilon <= MAX_EPSILON and is_unit(query, (DIMENSION,)))
                return
            self.tried["right"] += 1
            wanted = min(max(int(count), 0), ROWS)
            assert found.dtype == np.int64
            assert len(set(found.tolist())) == len(found) <= wanted
            assert ((found >= 0) & (found < ROWS)).all()
            if epsilon >= 1 and (edge_size == 0 or edge_size >= 40):
                scores = rows.astype(np.float64) @ np.asarray(query, dtype=np.float64)
                worst = np.sort(scores)[ROWS - wanted :].min(initial=1.0)
                assert len(found) == wanted
                # Of all but one row, one that no edge leads to is left out whatever the epsilon.
                assert (scores[found] >= worst - 1e-5).sum() >= wanted - 1

        check()
        index.close()
        index.close()
        try:
            index.search(rows[0], 1, 0.1, 0)
        except ValueError:
            return
        raise AssertionError("searched after it was closed")

    def build(self) -> None:
        number = numbers()

        @seed(1)
        @self.settings
        @given(
            hostile(ROWS_OF_LENGTH_1),
            st.one_of(st.just(1), COUNTS),
            st.one_of(st.just(10), COUNTS),
        )
        def check(array: Any, threads: Any, edges: Any) -> None:
            at = self.folder / f"built-{next(number)}"
            self.note(type(array), getattr(array, "dtype", ""), array, threads, edges)
            try:
                build_ngt(array, at, threads, edges=edges)
            except ValueError:
                self.tried["refused"] += 1
                assert not at.exists()
                fair = threads == 1 and edges == 10
                assert not (fair and is_unit(array, (ROWS, DIMENSION)))
                return
            self.tried["right"] += 1
            rows = np.ascontiguousarray(array, dtype=np.float32)
            count, dimension = rows.shape
            for other in ((count + 1, dimension), (count, dimension + 1), (0, 0)):
                try:
                    NgtIndex(at, count=other[0], dimension=other[1])
                except ValueError:
                    continue
                raise AssertionError("opened as something else")
            index = NgtIndex(at, count=count, dimension=dimension)
            found = index.search(rows[-1], 1, 1.0, 0)
            assert len(found) == 1
            if edges == 10:
                assert rows[found[0]] @ rows[-1] >= 1 - 3e-3
            index.close()

        check()


def main(folder: Path, part: str, examples: int) -> None:
    warnings.simplefilter("error")
    fuzz = Fuzz(folder, examples)
    {"search": fuzz.search, "build": fuzz.build}[part]()
    sys.stdout.write("\n" + json.dumps(fuzz.tried) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
