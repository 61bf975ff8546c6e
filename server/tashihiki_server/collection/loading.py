"""Fills a gallery when its collection is opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tashihiki_server.catalogue.base import StoredLabels
from tashihiki_server.collection.gallery import Gallery
from tashihiki_server.collection.prototype_file import read_prototypes
from tashihiki_server.collection.prototypes import PrototypeRefresh
from tashihiki_server.collection.rows import Row, Rows
from tashihiki_server.index.generation import OpenedGeneration
from tashihiki_server.space.prototype import Prototypes

_CHUNK = 1000


def load(gallery: Gallery, prototypes: PrototypeRefresh, opened: OpenedGeneration | None) -> None:
    """What the index holds as it is, what is newer from the catalogue; publishes nothing.

    Args:
        gallery: without rows yet.
        prototypes: of the gallery.
        opened: the index on disk, if there is one.
    """
    if opened is not None:
        gallery.index = opened.generation
        gallery.rows = Rows.frozen(opened.ids, opened.versions, opened.vectors, gallery.vocabulary)
    newer: list[tuple[StoredLabels, Mapping[str, int]]] = []
    for item in gallery.catalogue.labels():
        codes = gallery.vocabulary.add(item.attributes)
        if not gallery.rows.revive(item.id, item.version, codes, item.metadata):
            newer.append((item, codes))
            if len(newer) == _CHUNK:
                _load_newer(gallery, newer)
                newer.clear()
    _load_newer(gallery, newer)
    gallery.rows.forget_dead()
    view = gallery.rows.view()
    known = {} if opened is None else read_prototypes(opened.folder, view, gallery.vocabulary)
    gallery.prototypes = Prototypes(known)
    prototypes.refresh(view.keys() - known.keys())


def _load_newer(gallery: Gallery, newer: Sequence[tuple[StoredLabels, Mapping[str, int]]]) -> None:
    if not newer:
        return
    stored = gallery.catalogue.vectors([item.id for item, _ in newer])
    # Of a catalogue that another collection writes to, one may be gone again.
    there = [(item, codes) for item, codes in newer if item.id in stored]
    for item, codes in newer:
        if item.id not in stored:
            gallery.vocabulary.remove(codes)
    if not there:
        return
    embeddings = np.array([stored[item.id].embedding for item, _ in there])
    vectors = gallery.space.project(embeddings)
    for (item, codes), vector in zip(there, vectors, strict=True):
        gallery.rows.write(Row(item.id, item.version, codes, vector, item.metadata))
