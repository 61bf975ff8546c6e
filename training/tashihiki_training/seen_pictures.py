"""The list of what an encoder learnt from, beside its manifest."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

FILE = "pictures.txt"


def write_pictures(digests: Iterable[str], encoder: Path) -> None:
    """Writes the SHA-256 of the files, one per line.

    Args:
        digests: of all that had a say in the weights: learnt from, or steered by.
        encoder: folder of the bundle.
    """
    text = "".join(f"{digest}\n" for digest in sorted(set(digests)))
    unfinished = encoder / f"{FILE}.part"
    unfinished.write_text(text, encoding="ascii")
    unfinished.replace(encoder / FILE)


def known_pictures(weights: str) -> set[str]:
    """What initial weights learnt from, as far as the run that they lie in has a list of it.

    Args:
        weights: as `initial_stages` takes them.
    """
    path = Path(weights).parent.parent / "encoder" / FILE
    if not Path(weights).is_file() or not path.is_file():
        return set()
    return set(path.read_text(encoding="ascii").split())
