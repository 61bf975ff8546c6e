"""The encoder in the package: small, described, and free of where it was made."""

from __future__ import annotations

import re

from tashihiki_server.encoder.manifest import MODEL_FILE, read_manifest
from tashihiki_server.library import SHIPPED_ENCODER


def test_the_shipped_encoder_is_small_and_says_where_it_comes_from() -> None:
    manifest = read_manifest(SHIPPED_ENCODER)
    assert (SHIPPED_ENCODER / MODEL_FILE).stat().st_size <= 10 * 2**20
    assert manifest.training["command"][:2] == ["tashihiki", "train"]
    assert manifest.training["initial_weights"]["sha256"]
    assert manifest.metrics["composed"]["queries"] > 100


def test_the_model_holds_no_path_of_the_machine_that_made_it() -> None:
    content = (SHIPPED_ENCODER / MODEL_FILE).read_bytes()
    assert not re.search(rb"[a-z_]+\.py\b|/home/|/root/|/tmp/|/usr/", content)
