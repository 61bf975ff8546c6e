"""`kill -9` at random moments: nothing acknowledged is lost, nothing removed comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from kills import KillCampaign
from tashihiki.v1 import catalog_pb2


@pytest.mark.parametrize(
    ("kind", "kills"),
    [
        pytest.param(catalog_pb2.SPACE_KIND_SUM, 5, id="sum"),
        pytest.param(catalog_pb2.SPACE_KIND_FACTORED, 7, id="factored"),
    ],
)
def test_kills_lose_nothing_and_bring_nothing_back(
    tmp_path: Path,
    tiny_encoder_bundle: Path,
    kind: catalog_pb2.SpaceKind.ValueType,
    kills: int,
) -> None:
    campaign = KillCampaign(tmp_path / "data", tiny_encoder_bundle, seed=11, kind=kind)
    tally = campaign.run(kills)
    assert tally.kills == kills
    assert tally.acknowledged > 10 * kills
    # The kills met what they are meant to meet.
    assert tally.indexes
    assert bool(tally.spaces) == (kind == catalog_pb2.SPACE_KIND_FACTORED)
    assert tally.snapshots > 0
    assert tally.restored > 0
