"""What the illustrations count as right."""

from __future__ import annotations

import numpy as np

from serving import Served
from tashihiki import Client, Item
from tashihiki_evaluation.illustrations.gallery import Gallery


def test_labels_that_mean_the_same_count_as_one_value(served: Served) -> None:
    with Client(served.address) as client:
        aliases = {"mood": {"HA": "HAPPY", "SA": "SAD"}}
        dimension = client.create_collection("faces", space="sum", aliases=aliases).dimension
        shown = {"KR": ("HAPPY", "HA", "ha", "SAD"), "UY": ("Happy", "sa", "SAD", "SA")}
        moods = {"HA": 0, "HAPPY": 0, "SA": 1, "SAD": 1}
        items = []
        for person, (name, labels) in enumerate(shown.items()):
            for shot, mood in enumerate(labels):
                vector = np.zeros(dimension, dtype=np.float32)
                vector[person] = vector[2 + moods[mood.upper()]] = 1.0
                vector[4 + shot] = 0.1
                attributes = {"person": name, "mood": mood}
                items.append(Item(f"{name}{shot}", vector=vector, attributes=attributes))
        client.upsert("faces", items)
        gallery = Gallery(client, "faces")
        answer = gallery.ask("person KR + mood HA", limit=3)
    assert {len(values) for values in gallery.values.values()} == {2}
    for hits in (answer.ours, answer.plain):
        assert {hit.id for hit in hits} == {"KR0", "KR1", "KR2"}
        assert all(answer.right(hit) for hit in hits)
    assert len(gallery.members("mood", answer.asked["mood"], 4)) == 4
