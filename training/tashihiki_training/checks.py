"""What `tashihiki doctor` looks at where the training is installed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from tashihiki.cli.doctor.check import Check, Finding, Target
from tashihiki.cli.doctor.trial import TrialFailedError, try_python

_PROBE = (
    "import torch, tashihiki_training.mobilenet\n"
    "torch.nn.functional.conv2d(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 3, 3))\n"
    "print(torch.__version__, 'cuda' if torch.cuda.is_available() else 'cpu')"
)


def _torch(target: Target) -> Iterator[Finding]:
    if find_spec("torch") is None:
        return
    try:
        version, device = try_python("-c", _PROBE).split()[-2:]
    except TrialFailedError as error:
        remedy = "Install it again: pip install --force-reinstall torch torchvision."
        yield Finding("training", "fault", f"torch does not work: {error}", remedy)
        return
    yield Finding("training", "ok", f"torch {version} on {device}")


CHECKS = (Check("training", _torch),)
