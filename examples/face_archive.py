"""A face archive: a person with an expression, all of a person, and what is there already.

`python examples/face_archive.py localhost:50051` asks the demo's faces.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from tashihiki import Client, Hit, SearchResult, StoredItem, attribute, facet, item

ARCHIVE = "faces"


def showing(client: Client, person: str, expression: str) -> SearchResult:
    """The pictures that most probably show the person with the expression."""
    query = attribute("person", person) + attribute("expression", expression)
    return client.search(ARCHIVE, query, limit=8)


def other_expression(client: Client, picture: str, expression: str) -> SearchResult:
    """The person in a picture with another expression; nobody has to be named.

    A picture that the query is made of is no hit, unless `include_operands` says so.
    """
    return client.search(ARCHIVE, item(picture) + attribute("expression", expression), limit=8)


def everything_of(client: Client, picture: StoredItem) -> Iterator[Hit]:
    """All other pictures of the person, those like this one first, however many there are.

    Expressions play no part in the order. Pages are fetched as they are needed.
    """
    pages = client.search_pages(
        ARCHIVE,
        item(picture.id) - facet("expression"),
        where=facet("person").isin(picture.attributes["person"]),
        page_size=10,
    )
    for page in pages:
        yield from page


def already_there(client: Client, picture: bytes) -> list[str]:
    """The ids of the archive's pictures that show the same, before one is added twice."""
    groups = client.find_duplicates(ARCHIVE, image=picture)
    return [duplicate.id for group in groups for duplicate in group]


def main(address: str = "localhost:50051") -> None:
    with Client(address) as client:
        print("KR, happy:")
        for hit in showing(client, "KR", "HAPPY"):
            print(f"    {hit.id} {hit.posterior:.3f} {dict(hit.attributes)}")

        kr_sad = facet("person").isin("KR") & facet("expression").isin("SADNESS")
        sad = next(client.items(ARCHIVE, where=kr_sad, include_thumbnails=True))
        happy = other_expression(client, sad.id, "HAPPY")
        print(f"The person of {sad.id}, happy: {happy[0].id} {dict(happy[0].attributes)}")
        print("All of this person:", len(list(everything_of(client, sad))), "others")

        assert sad.thumbnail is not None
        print("A smaller copy of it shows the same as", already_there(client, sad.thumbnail))


if __name__ == "__main__":
    main(*sys.argv[1:])
