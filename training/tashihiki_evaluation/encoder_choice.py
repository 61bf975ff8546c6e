"""The encoder that the user names, and the pictures that it was trained on."""

from __future__ import annotations

from pathlib import Path

from tashihiki.errors import FailedPreconditionError, NotFoundError
from tashihiki_server.encoder.manifest import MANIFEST_FILE, read_manifest
from tashihiki_server.library import SHIPPED_ENCODER

PICTURES_FILE = "pictures.txt"


def encoder_folder(name: str | None, data: Path) -> Path:
    """The folder of an encoder bundle.

    Args:
        name: a bundle, the folder of a training run, or the name or fingerprint of an encoder
            in the data folder; None for the one that is shipped.
        data: the data folder of a server; it is only read.

    Raises:
        NotFoundError: UNKNOWN_ENCODER.
        FailedPreconditionError: ENCODER_INVALID.
    """
    if name is None:
        return SHIPPED_ENCODER
    for folder in (Path(name), Path(name) / "encoder"):
        if (folder / MANIFEST_FILE).is_file():
            return folder
    installed = {folder: read_manifest(folder) for folder in _installed(data)}
    found = [folder for folder, m in installed.items() if name in (m.name, m.fingerprint)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{m.name} ({m.fingerprint})" for m in installed.values())
    problem = "more than one encoder" if found else "no encoder"
    raise NotFoundError(
        f"{problem} {name!r}",
        reason="UNKNOWN_ENCODER",
        field="encoder",
        remedy="Name a folder that `tashihiki train` wrote"
        + (f", or one of {known}." if known else "."),
    )


def trained_on(bundle: Path) -> frozenset[str]:
    """SHA-256 of the files that the encoder learnt from, as far as its bundle lists them.

    Raises:
        FailedPreconditionError: ENCODER_INVALID.
    """
    path = bundle / PICTURES_FILE
    if not path.exists():
        return frozenset()
    try:
        return frozenset(path.read_text(encoding="ascii").split())
    except (OSError, UnicodeDecodeError) as error:
        raise FailedPreconditionError(
            f"{path} cannot be read: {error}",
            reason="ENCODER_INVALID",
            field="encoder",
            remedy="Export the encoder again with `tashihiki train`.",
        ) from error


def _installed(data: Path) -> list[Path]:
    return sorted(folder.parent for folder in (data / "encoders").glob(f"[!.]*/{MANIFEST_FILE}"))
