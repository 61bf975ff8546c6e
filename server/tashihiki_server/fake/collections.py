"""The collections of a fake server."""

from __future__ import annotations

from tashihiki.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError
from tashihiki_server.bounds import check_name
from tashihiki_server.fake.collection import FakeCollection, FakeSettings, Sight
from tashihiki_server.names import unknown_collection

ENCODER = "fake"


class FakeCollections:
    """By name. Whoever calls a method has them to himself."""

    def __init__(self, dimension: int) -> None:
        """None yet, of embeddings of this length."""
        self.dimension = dimension
        self.sights: list[Sight] = []
        self._collections: dict[str, FakeCollection] = {}
        self._made_by: dict[str, str] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._collections

    def names(self) -> list[str]:
        """Sorted."""
        return sorted(self._collections)

    def find(self, name: str) -> FakeCollection:
        """A collection by name.

        Raises:
            NotFoundError: UNKNOWN_COLLECTION.
        """
        if (found := self._collections.get(name)) is not None:
            return found
        raise unknown_collection(name, self._collections)

    def create(
        self, settings: FakeSettings, *, encoder: str = "", request_id: str = ""
    ) -> FakeCollection:
        """Makes an empty collection.

        Raises:
            InvalidArgumentError: NAME_INVALID or REQUEST_ID_REUSED.
            AlreadyExistsError: COLLECTION_EXISTS.
            NotFoundError: UNKNOWN_ENCODER.
        """
        name = settings.name
        check_name(name, "collection.name")
        if encoder not in ("", ENCODER):
            raise NotFoundError(
                f"no encoder {encoder!r}",
                reason="UNKNOWN_ENCODER",
                field="collection.encoder",
                remedy=f"There is {ENCODER}, which is the default.",
            )
        made = self._collections.get(name)
        if made is not None and request_id and self._made_by[name] == request_id:
            if made.settings != settings:
                raise InvalidArgumentError(
                    f"the request {request_id!r} made another collection",
                    reason="REQUEST_ID_REUSED",
                    field="request_id",
                    remedy="Give every request an id of its own.",
                )
            return made
        if made is not None:
            raise AlreadyExistsError(
                f"there is a collection {name!r} already",
                reason="COLLECTION_EXISTS",
                field="collection.name",
                remedy="Choose another name, or delete the one that is there.",
            )
        self._made_by[name] = request_id
        self._collections[name] = FakeCollection(settings, self.dimension, self.sights)
        return self._collections[name]

    def delete(self, name: str, *, missing_ok: bool) -> None:
        """Deletes a collection with its items.

        Raises:
            NotFoundError: UNKNOWN_COLLECTION, unless there need not be one.
        """
        if name in self or not missing_ok:
            self.find(name)
            del self._collections[name]
