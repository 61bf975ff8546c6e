"""The network: torchvision's operators, pooling, folding, and where weights come from."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tashihiki.errors import InvalidArgumentError, NotFoundError, TashihikiError
from tashihiki_training.batch_norm import fold_batch_norm, has_batch_norm
from tashihiki_training.initial_weights import initial_stages
from tashihiki_training.mobilenet import make_stages
from tashihiki_training.network import EncoderNetwork
from tashihiki_training.pooling import median, pool
from tashihiki_training.torchvision_operators import declare_missing_operators

IMAGENET = Path(__file__).parents[2].parent / "shared" / "weights" / "mobilenet_v2_imagenet.pth"


def torchvision_network() -> nn.Module:
    """torchvision's own, with batch norm statistics that are not the trivial ones."""
    declare_missing_operators()
    from torchvision.models import mobilenet_v2

    torch.manual_seed(1)
    network: nn.Module = mobilenet_v2(weights=None)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return network.eval()


def images(count: int = 2) -> Tensor:
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_torchvision_can_be_imported_and_declaring_twice_does_no_harm() -> None:
    declare_missing_operators()
    assert declare_missing_operators() == []
    assert hasattr(torch.ops.torchvision, "nms")
    assert hasattr(torch.ops.torchvision, "qnms")


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 3), (4, 5), (7, 7)])
def test_pooling_equals_numpy(shape: tuple[int, int]) -> None:
    features = torch.rand(3, 5, *shape, generator=torch.Generator().manual_seed(0))
    flat = features.flatten(2).numpy()
    np.testing.assert_allclose(pool(features, "mean"), flat.mean(2), rtol=1e-6)
    np.testing.assert_allclose(pool(features, "median"), np.median(flat, axis=2), rtol=1e-6)


def test_the_median_of_an_even_count_has_a_gradient_to_both_middles() -> None:
    values = torch.tensor([4.0, 1.0, 3.0, 2.0], requires_grad=True)
    median(values).backward()  # type: ignore[no-untyped-call]
    assert values.grad is not None
    assert values.grad.tolist() == [0.0, 0.0, 0.5, 0.5]


def test_embeddings_are_unit_and_non_negative() -> None:
    pixels = torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8)
    for pooling in ("mean", "median"):
        with torch.no_grad():
            embeddings = EncoderNetwork(make_stages(), pooling).eval()(pixels)
        assert embeddings.shape == (3, 1280)
        assert bool((embeddings >= 0).all())
        torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(3))


def test_folding_leaves_the_function_and_no_batch_norm() -> None:
    stages = torchvision_network().features
    assert isinstance(stages, nn.Sequential)
    with torch.no_grad():
        before = stages(images())
        fold_batch_norm(stages)
        after = stages(images())
    assert not has_batch_norm(stages)
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("folded", [False, True])
def test_features_equal_torchvision_s(tmp_path: Path, suffix: str, folded: bool) -> None:
    reference = torchvision_network()
    expected = reference.features(images())  # type: ignore[operator]
    if folded:
        fold_batch_norm(reference)
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(reference.state_dict(), path)
    else:
        save_file(reference.state_dict(), path)
    stages, origin = initial_stages(str(path))
    assert (origin.name, origin.learnt_norm) == (path.name, not folded)
    torch.testing.assert_close(stages.eval()(images()), expected, rtol=1e-3, atol=1e-4)


def test_the_imagenet_file_has_its_norm_folded_and_gives_torchvision_s_features() -> None:
    if not IMAGENET.is_file():
        pytest.skip("the ImageNet weights are not beside the repository")
    reference = torchvision_network()
    reference.load_state_dict(torch.load(IMAGENET, weights_only=True))
    stages, origin = initial_stages(str(IMAGENET))
    assert not origin.learnt_norm
    expected = reference.features(images())  # type: ignore[operator]
    torch.testing.assert_close(stages.eval()(images()), expected)


def test_frozen_stages_do_not_learn() -> None:
    network = EncoderNetwork(make_stages(), "mean", frozen=4).train()
    network.embed(images()).square().sum().backward()  # type: ignore[no-untyped-call]
    learnt = [any(p.grad is not None for p in stage.parameters()) for stage in network.stages]
    assert learnt == [False] * 4 + [True] * 15
    assert not network.stages[0].training


class Payload:
    """What a hostile weights file would run."""

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return (SystemExit, ("executed",))


def test_files_that_hold_no_weights(tmp_path: Path) -> None:
    text, other, hostile = (tmp_path / f"{name}.pth" for name in ("text", "other", "hostile"))
    text.write_text("not weights")
    torch.save({"features.0.0.weight": torch.zeros(3)}, other)
    torch.save({"state": Payload()}, hostile)
    empty = tmp_path / "empty.safetensors"
    empty.write_bytes(b"")
    for path in (text, other, hostile, empty):
        with pytest.raises(InvalidArgumentError) as caught:
            initial_stages(str(path))
        assert caught.value.reason == "WEIGHTS_INVALID"


def test_weights_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        initial_stages(str(tmp_path / "none.pth"))


def test_the_imagenet_weights_are_downloaded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    expected = torchvision_network()
    torch.save(expected.state_dict(), tmp_path / "weights")
    digest = hashlib.sha256((tmp_path / "weights").read_bytes()).hexdigest()
    name = f"mobilenet_v2-{digest[:8]}.pth"
    (tmp_path / "weights").rename(tmp_path / name)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}/{name}"
        monkeypatch.setattr("tashihiki_training.initial_weights.imagenet_url", lambda: url)
        _, first = initial_stages("imagenet")
        server.shutdown()
    stages, again = initial_stages("imagenet")
    assert first == again
    assert (again.name, again.sha256) == ("imagenet", digest)
    wanted = expected.features(images())  # type: ignore[operator]
    torch.testing.assert_close(stages.eval()(images()), wanted)


def test_a_download_that_fails_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/mobilenet_v2-12345678.pth"
        monkeypatch.setattr("tashihiki_training.initial_weights.imagenet_url", lambda: url)
        with pytest.raises(TashihikiError, match=re.escape(url)) as caught:
            initial_stages("imagenet")
    assert caught.value.reason == "WEIGHTS_UNAVAILABLE"
    assert "--weights FILE" in caught.value.remedy
    assert socket.getdefaulttimeout() is None
