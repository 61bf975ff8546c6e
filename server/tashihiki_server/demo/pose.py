"""How a person sits before the camera in one shot."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from .colour import Colour, colour


@dataclass(frozen=True)
class Pose:
    """Where the head is and where it looks; `yaw` and `pitch` run from -1 to 1."""

    x: float
    y: float
    scale: float
    tilt: float
    yaw: float
    pitch: float

    def shift(self, depth: float) -> tuple[float, float]:
        """How far the turn of the head moves a part that lies `depth` pixels in front."""
        return self.yaw * depth, self.pitch * depth * 0.5


@dataclass(frozen=True)
class Light:
    """Where the light falls from and what it does to the colours."""

    from_left: bool
    shade: float
    tone: Colour
    tone_amount: float
    brightness: float
    vignette: float


def pose(rng: Random) -> Pose:
    """A small change of pose."""
    return Pose(
        x=128 + rng.uniform(-10, 10),
        y=130 + rng.uniform(-7, 7),
        scale=rng.uniform(0.95, 1.1),
        tilt=rng.uniform(-8, 8),
        yaw=rng.uniform(-1, 1),
        pitch=rng.uniform(-1, 1),
    )


def light(rng: Random) -> Light:
    """A light from the left or right, warm or cool, bright or dim."""
    return Light(
        from_left=rng.random() < 0.5,
        shade=rng.uniform(0.08, 0.3),
        tone=colour(rng.choice(["ff9a3c", "ffc070", "5a8cff", "a0b8ff", "ffffff"])),
        tone_amount=rng.uniform(0.0, 0.07),
        brightness=rng.uniform(-0.07, 0.06),
        vignette=rng.uniform(0.05, 0.32),
    )
