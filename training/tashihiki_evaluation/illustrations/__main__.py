"""`python -m tashihiki_evaluation.illustrations docs/images`, while `make serve` serves the demo.

Draws query.png of the README and the pictures of docs/arithmetic.md: what the server answers, and
the plain sum of the same terms.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from tashihiki import Client, TashihikiError
from tashihiki_evaluation.illustrations.answers import SHOWN, draw_answers
from tashihiki_evaluation.illustrations.gallery import Gallery
from tashihiki_evaluation.illustrations.projection import draw_projection
from tashihiki_evaluation.illustrations.shares import draw_shares

MUG = "mug_blue_wood_1.jpg"


def main(folder: Path, address: str) -> None:
    """Draws all pictures into a folder."""
    with Client(address) as client:
        faces, items = Gallery(client, "faces"), Gallery(client, "items")
        answered = {
            "query.png": [
                (faces, faces.ask("person KR + HAPPY", limit=SHOWN)),
                (items, items.ask("this item − background + red", this_item=MUG, limit=SHOWN)),
            ],
            "answers.png": [
                (faces, faces.ask("person TM + SURPRISE", limit=SHOWN)),
                (items, items.ask("mug + red − wood", limit=SHOWN)),
            ],
        }
    folder.mkdir(parents=True, exist_ok=True)
    for name, answers in answered.items():
        draw_answers(answers, folder / name)
    draw_shares({"faces": faces, "items": items}, folder / "shares.png")
    draw_projection(faces, (("person", "KR"), ("expression", "HAPPY")), folder / "blocks.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--server", default=os.environ.get("TASHIHIKI_SERVER", "localhost:50051"))
    given = parser.parse_args()
    try:
        main(given.folder, given.server)
    except TashihikiError as error:
        sys.exit(str(error))
