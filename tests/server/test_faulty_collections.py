"""A collection that cannot be opened: the others serve, and it says why it does not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import grpc
import pytest

from calls import create, failure, hit_ids, listed_ids, search, upsert, vector_item
from gallery import random_vectors
from server_process import running
from serving import Served, serving
from tashihiki.v1 import catalog_pb2, search_pb2
from tashihiki_server.library import Library
from tiny_encoder import write_tiny_encoder

OpenLibrary = Callable[..., Library]
SETTINGS = "collection.json"


def _items() -> list[catalog_pb2.ItemInput]:
    rows = random_vectors(20, 3)
    return [vector_item(f"i{n:02}", row, colour=f"c{n % 2}") for n, row in enumerate(rows)]


def _fill(data: Path, bundle: Path, *names: str, encoder: str = "") -> None:
    with closing(Library(data, bundle)) as library, serving(library) as served:
        for name in names:
            library.create(name, space="sum", encoder=encoder)
            upsert(served, name, _items())


def _edit(**changes: object) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / SETTINGS
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return edit


def _flip_everywhere(folder: Path) -> None:
    path = folder / "catalogue.sqlite3"
    path.write_bytes(bytes(byte ^ 0x55 for byte in path.read_bytes()))


_DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "settings gone": (lambda f: (f / SETTINGS).unlink(), "COLLECTION_DAMAGED"),
    "settings empty": (lambda f: (f / SETTINGS).write_text(""), "COLLECTION_DAMAGED"),
    "settings no object": (lambda f: (f / SETTINGS).write_text("[]"), "COLLECTION_DAMAGED"),
    "other settings": (_edit(keep_negative=True), "COLLECTION_DAMAGED"),
    "unknown setting": (_edit(colour="red"), "COLLECTION_DAMAGED"),
    "other encoder": (_edit(encoder="0123456789abcdef"), "COLLECTION_DAMAGED"),
    "catalogue gone": (lambda f: (f / "catalogue.sqlite3").unlink(), "CATALOGUE_DAMAGED"),
    "catalogue scrambled": (_flip_everywhere, "CATALOGUE_"),
}


@pytest.mark.parametrize("damage", list(_DAMAGES))
def test_every_call_on_it_says_what_is_wrong_and_the_others_are_answered(
    tmp_path: Path, tiny_encoder_bundle: Path, damage: str
) -> None:
    data = tmp_path / "data"
    _fill(data, tiny_encoder_bundle, "bad", "good")
    harm, reason = _DAMAGES[damage]
    harm(data / "collections" / "bad")
    with closing(Library(data, tiny_encoder_bundle)) as library, serving(library) as served:
        for call in _calls(served, "bad"):
            failed = failure(call)
            assert failed.code is grpc.StatusCode.FAILED_PRECONDITION
            assert failed.reason.startswith(reason)
            assert failed.remedy
        assert hit_ids(search(served, "good", "c0", limit=20)) != []
        assert len(listed_ids(served, "good")) == 20
        listing = _listing(served)
        assert [(c.name, bool(c.fault)) for c in listing] == [("bad", True), ("good", False)]
        assert listing[0].fault.startswith(reason)
        taken = failure(lambda: create(served, "bad"))
        assert taken.reason == "COLLECTION_EXISTS"


def _calls(served: Served, name: str) -> list[Callable[[], object]]:
    catalog = served.catalog
    return [
        lambda: catalog.GetCollection(catalog_pb2.GetCollectionRequest(name=name)),
        lambda: upsert(served, name, _items()),
        lambda: listed_ids(served, name),
        lambda: catalog.GetItem(catalog_pb2.GetItemRequest(collection=name, id="i00")),
        lambda: catalog.DeleteItems(catalog_pb2.DeleteItemsRequest(collection=name, ids=["i00"])),
        lambda: catalog.ListAttributes(catalog_pb2.ListAttributesRequest(collection=name)),
        lambda: catalog.Embed(catalog_pb2.EmbedRequest(collection=name)),
        lambda: search(served, name, "c0"),
        lambda: served.search.Compose(search_pb2.ComposeRequest(collection=name)),
    ]


def _listing(served: Served) -> list[catalog_pb2.Collection]:
    """Every collection, a page for each."""
    found: list[catalog_pb2.Collection] = []
    token = ""
    while True:
        request = catalog_pb2.ListCollectionsRequest(page_size=1, page_token=token)
        response = served.catalog.ListCollections(request)
        found += response.collections
        token = response.next_page_token
        if not token:
            return found


def test_it_can_be_deleted_and_its_name_used_again(
    tmp_path: Path, tiny_encoder_bundle: Path
) -> None:
    data = tmp_path / "data"
    _fill(data, tiny_encoder_bundle, "bad")
    (data / "collections" / "bad" / SETTINGS).unlink()
    with closing(Library(data, tiny_encoder_bundle)) as library, serving(library) as served:
        served.catalog.DeleteCollection(catalog_pb2.DeleteCollectionRequest(name="bad"))
        assert not (data / "collections" / "bad").exists()
        assert _listing(served) == []
        create(served, "bad")
        upsert(served, "bad", _items())
        assert len(listed_ids(served, "bad")) == 20


def test_a_folder_that_was_given_another_name_is_not_taken_for_that_collection(
    open_library: OpenLibrary, tmp_path: Path
) -> None:
    first = open_library()
    first.create("red")
    first.close()
    collections = tmp_path / "data" / "collections"
    shutil.copytree(collections / "red", collections / "blue")
    again = open_library()
    assert [c.settings.name for c in again.collections()] == ["red"]
    assert "'red'" in again.faults()["blue"].message


def test_settings_of_the_first_release_are_read(open_library: OpenLibrary, tmp_path: Path) -> None:
    first = open_library()
    made = first.create("old", space="sum").settings
    first.close()
    path = tmp_path / "data" / "collections" / "old" / SETTINGS
    content = json.loads(path.read_text())
    for newer in ("checksum", "target_recall", "request_id"):
        del content[newer]
    path.write_text(json.dumps(content))
    assert open_library().collection("old").settings == made


def test_a_damaged_encoder_takes_only_its_own_collections_along(
    tmp_path: Path, tiny_encoder_bundle: Path
) -> None:
    data = tmp_path / "data"
    other = write_tiny_encoder(tmp_path / "other", name="other").fingerprint
    with closing(Library(data, tiny_encoder_bundle, further=[tmp_path / "other"])) as library:
        library.create("a")
        library.create("b", encoder=other)
    (data / "encoders" / other / "encoder.onnx").write_bytes(b"")
    with closing(Library(data, tiny_encoder_bundle)) as library:
        assert [c.settings.name for c in library.collections()] == ["a"]
        assert library.faults()["b"].reason == "ENCODER_INVALID"
        assert other not in {manifest.fingerprint for manifest in library.encoders()}
    shutil.rmtree(data / "encoders" / other)
    with closing(Library(data, tiny_encoder_bundle)) as library:
        assert library.faults()["b"].reason == "UNKNOWN_ENCODER"
    # Given once more, it is installed and the collection serves.
    with closing(Library(data, tiny_encoder_bundle, further=[tmp_path / "other"])) as library:
        assert [c.settings.name for c in library.collections()] == ["a", "b"]


def test_the_command_announces_it_and_serves(tmp_path: Path, tiny_encoder_bundle: Path) -> None:
    data = tmp_path / "data"
    _fill(data, tiny_encoder_bundle, "bad", "good")
    (data / "collections" / "bad" / SETTINGS).write_text("{")
    with running(data, tiny_encoder_bundle) as server:
        request = catalog_pb2.ListItemsRequest(collection="good")
        assert len(server.catalog.ListItems(request).items) == 20
        assert "collection bad: COLLECTION_DAMAGED" in server.log
