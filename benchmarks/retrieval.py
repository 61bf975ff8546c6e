"""What the shipped encoder and the plain sum find on demo pictures that they have not seen.

The gallery is drawn with a seed that training did not use. Prototypes are medians of the
gallery's own members, so attribute queries are in-sample for the prototypes ("closed set") and
held out for the encoder. R@1: the first hit carries everything asked for.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.timing import table
from tashihiki.v1 import composition_pb2, search_pb2
from tashihiki_server.cli.index import fill
from tashihiki_server.dataset import read_dataset
from tashihiki_server.demo.gallery import draw_demo
from tashihiki_server.encoder.embedder import Embedder
from tashihiki_server.images import ImageLimits
from tashihiki_server.library import Library
from tashihiki_server.service.search import SearchApi

SEED = 7
BASES = 200
DRAWS = 2000

_Attributes = dict[str, str]


@dataclass(frozen=True)
class Question:
    """A query and what its first hit must carry."""

    collection: str
    expression: str
    wanted: _Attributes
    this_item: str = ""


def main() -> str:
    """A table: recall@1 with its interval, and what a hit drawn at random would reach."""
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        draw_demo(Path(folder) / "demo", seed=SEED)
        library = Library(Path(folder) / "data")
        embedder = Embedder(ImageLimits(), 1)
        try:
            labels = {name: _fill(library, Path(folder), name) for name in ("faces", "items")}
            api = SearchApi(library, embedder)
            rows = [
                _row(name, list(questions), api, labels, random)
                for name, questions in _protocols(labels, random).items()
            ]
        finally:
            library.close()
            embedder.close()
    header = ["query", "queries", "R@1", "95 % interval", "random"]
    return f"Retrieval on the demo of seed {SEED}, `sum` space, closed set\n\n" + table(
        header, rows
    )


def _fill(library: Library, folder: Path, name: str) -> dict[str, _Attributes]:
    dataset = read_dataset(folder / "demo" / name / "labels.csv")
    fill(library.create(name), dataset)
    return {photo.id: photo.attributes for photo in dataset.photos}


def _protocols(
    labels: dict[str, dict[str, _Attributes]], random: np.random.Generator
) -> dict[str, Iterator[Question]]:
    faces, items = labels["faces"], labels["items"]
    colours = sorted({attributes["colour"] for attributes in items.values()})
    bases = [sorted(items)[n] for n in random.choice(len(items), BASES, replace=False)]
    others = [
        str(random.choice([colour for colour in colours if colour != items[base]["colour"]]))
        for base in bases
    ]
    return {
        "`person P + E`": _sums("faces", faces, ("person", "expression")),
        "`product P + C`": _sums("items", items, ("product", "colour")),
        "`product P + C + B`": _sums("items", items, ("product", "colour", "background")),
        "`this item − background + C`": _changes(
            items, bases, others, "this item − background + colour:{new}"
        ),
        "`this item − C + D`": _changes(
            items, bases, others, "this item − colour:{old} + colour:{new}"
        ),
        "`this item + D`": _changes(items, bases, others, "this item + colour:{new}"),
    }


def _sums(
    collection: str, labels: dict[str, _Attributes], facets: tuple[str, ...]
) -> Iterator[Question]:
    values = [sorted({attributes[facet] for attributes in labels.values()}) for facet in facets]
    for chosen in itertools.product(*values):
        wanted = dict(zip(facets, chosen, strict=True))
        yield Question(collection, " + ".join(f"{f}:{v}" for f, v in wanted.items()), wanted)


def _changes(
    labels: dict[str, _Attributes], bases: list[str], colours: list[str], form: str
) -> Iterator[Question]:
    for base, colour in zip(bases, colours, strict=True):
        expression = form.format(old=labels[base]["colour"], new=colour)
        wanted = {"product": labels[base]["product"], "colour": colour}
        yield Question("items", expression, wanted, base)


def _row(
    name: str,
    questions: list[Question],
    api: SearchApi,
    labels: dict[str, dict[str, _Attributes]],
    random: np.random.Generator,
) -> list[str]:
    right = np.array([_first_is_right(api, question) for question in questions])
    draws = random.choice(right, (DRAWS, len(right))).mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    chance = np.mean(
        [
            np.mean([q.wanted.items() <= found.items() for found in labels[q.collection].values()])
            for q in questions
        ]
    )
    return [
        name,
        str(len(right)),
        f"{right.mean():.3f}",
        f"{low:.3f} to {high:.3f}",
        f"{chance:.3f}",
    ]


def _first_is_right(api: SearchApi, question: Question) -> bool:
    bindings = composition_pb2.Bindings(this_item=question.this_item)
    query = composition_pb2.Query(expression=question.expression, bindings=bindings)
    request = search_pb2.SearchRequest(collection=question.collection, query=query, limit=1)
    first = api.search(request).hits[0]
    return question.wanted.items() <= dict(first.attributes).items()
