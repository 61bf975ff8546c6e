"""pandas: a table of labels becomes a collection, and a collection and its hits become tables.

`python examples/pandas_round_trip.py localhost:50051 data/demo/items/labels.csv` takes the mugs of
the demo, labels and pictures, into a collection of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pandas as pd

from tashihiki import AlreadyExistsError, Client, Hit, Item, SearchResult, StoredItem

MUGS = "pandas-mugs"
FACETS = ["product", "colour", "background"]
METADATA = ["price"]


def items(table: pd.DataFrame, pictures: Path | None = None) -> Iterator[Item]:
    """An item for each row.

    Args:
        table: ids as the index, and the columns `FACETS` and `METADATA`; an empty cell is a
            missing label. With a column `etag`, a row is written only if nobody has written the
            item since.
        pictures: the folder in which the ids are paths. None for items that are there already
            and keep their pictures.
    """
    for row in table.reset_index().to_dict("records"):
        known = {str(name): cell for name, cell in row.items() if pd.notna(cell)}
        yield Item(
            known["id"],
            image=None if pictures is None else pictures / known["id"],
            attributes={name: known[name] for name in FACETS if name in known},
            metadata={name: known[name] for name in METADATA if name in known},
            etag=known.get("etag", ""),
        )


def table_of(stored: Iterable[StoredItem]) -> pd.DataFrame:
    """A row for each item, as `items` takes them."""
    found = list(stored)
    table = _labels(found)
    table["etag"] = [one.etag for one in found]
    return table


def hits_of(result: SearchResult) -> pd.DataFrame:
    """A row for each hit, the best first."""
    table = _labels(result)
    table["similarity"] = [hit.similarity for hit in result]
    return table


def _labels(found: Iterable[StoredItem | Hit]) -> pd.DataFrame:
    rows = {one.id: {**one.attributes, **one.metadata} for one in found}
    ids = pd.Index(list(rows), name="id")
    table: pd.DataFrame = pd.DataFrame(list(rows.values()), ids, [*FACETS, *METADATA])
    return table


def main(
    address: str = "localhost:50051", labels: str = "data/demo/items/labels.csv"
) -> pd.DataFrame:
    """Returns the hits of a search of the mugs."""
    every = pd.read_csv(labels, index_col="path").rename_axis("id").sort_index()
    mugs = every[every["product"] == "mug"].assign(price=12.0)
    with Client(address, timeout=60) as client:
        with suppress(AlreadyExistsError):
            client.create_collection(MUGS)
        client.upsert(MUGS, items(mugs, Path(labels).parent))
        back = table_of(client.items(MUGS))
        print("The same table back:", back[mugs.columns].equals(mugs))

        back.loc[back["colour"] == "red", "price"] = 9.0
        result = client.upsert(MUGS, items(back), on_error="collect")
        print(f"{result.count - result.unchanged_count} written, {len(result.errors)} refused")

        hits = hits_of(client.search(MUGS, "red + wood", where="metadata.price < 10"))
    print(hits.to_string())
    return hits


if __name__ == "__main__":
    main(*sys.argv[1:])
