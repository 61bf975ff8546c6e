"""Where a training leaves what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tashihiki.errors import AlreadyExistsError, FailedPreconditionError


@dataclass(frozen=True)
class RunFolder:
    """The files of a training under one folder."""

    root: Path

    @property
    def encoder(self) -> Path:
        """The folder that a server loads."""
        return self.root / "encoder"

    @property
    def last(self) -> Path:
        """The state after the last whole epoch."""
        return self.root / "checkpoints" / "last.safetensors"

    @property
    def best(self) -> Path:
        """The state with the best validation score."""
        return self.root / "checkpoints" / "best.safetensors"

    @property
    def scratch(self) -> Path:
        """Pixels of a training set that does not fit in memory."""
        return self.root / "pixels.npy"

    def prepare(self, *, resume: bool) -> None:
        """Makes the folder, or checks that there is a training to resume.

        Raises:
            AlreadyExistsError: RUN_EXISTS.
            FailedPreconditionError: OUTPUT_NOT_WRITABLE.
        """
        if self.last.exists() and not resume:
            raise AlreadyExistsError(
                f"{self.root} already holds a training",
                reason="RUN_EXISTS",
                field="out",
                remedy="Add --resume to go on with it, or name another folder.",
            )
        try:
            self.last.parent.mkdir(parents=True, exist_ok=True)
            self.encoder.mkdir(exist_ok=True)
        except OSError as error:
            raise FailedPreconditionError(
                f"{self.root} cannot be written: {error}",
                reason="OUTPUT_NOT_WRITABLE",
                field="out",
                remedy="Name a folder that you may write.",
            ) from error
