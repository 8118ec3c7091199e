"""Digits drawn by hand: the strokes of a pen, for the page of ``draw`` and as pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Points = Sequence[tuple[float, float]]


def arc(x: float, y: float, width: float, height: float, start: float, end: float) -> list:
    """Return points on an ellipse around (x, y); 0 degrees are on the right, 90 at the bottom."""
    angles = np.deg2rad(np.linspace(start, end, 15))
    return [(x + width * np.cos(a) / 2, y + height * np.sin(a) / 2) for a in angles]


# x from left to right, y from top to bottom, each from 0 to 1.
STROKES: dict[int, list[Points]] = {
    0: [arc(0.5, 0.5, 0.4, 0.66, -90, 270)],
    1: [[(0.35, 0.35), (0.52, 0.18), (0.52, 0.82)]],
    2: [[*arc(0.5, 0.35, 0.36, 0.34, 200, 390), (0.32, 0.8), (0.72, 0.8)]],
    3: [arc(0.48, 0.33, 0.34, 0.3, 200, 450) + arc(0.48, 0.66, 0.38, 0.36, -90, 150)],
    4: [[(0.55, 0.18), (0.3, 0.55), (0.72, 0.55)], [(0.6, 0.4), (0.55, 0.85)]],
    5: [[(0.68, 0.2), (0.4, 0.2), (0.36, 0.47), *arc(0.5, 0.62, 0.36, 0.38, -120, 140)]],
    6: [[(0.6, 0.18), (0.42, 0.38), *arc(0.5, 0.65, 0.34, 0.34, 200, 560)]],
    7: [[(0.3, 0.2), (0.7, 0.2), (0.45, 0.82)], [(0.4, 0.52), (0.65, 0.52)]],
    8: [arc(0.5, 0.34, 0.28, 0.3, 90, 450) + arc(0.5, 0.67, 0.34, 0.36, -90, 270)],
    9: [arc(0.5, 0.35, 0.32, 0.32, 0, -360) + arc(0.5, 0.62, 0.32, 0.4, 0, 130)],
}


def picture(
    strokes: Sequence[Points],
    side: int,
    *,
    pen: float = 0.075,
    scale: float = 1.0,
    move: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """Return the strokes of a round pen as pixels, 0 for paper and 255 for ink.

    The pen's width is a share of the side. The strokes are scaled about the middle
    and then moved; the pen is not.
    """
    pixels = (np.indices((side, side))[::-1].reshape(2, -1).T + 0.5) / side  # x, y
    ink = np.zeros(side**2, dtype=bool)
    for stroke in strokes:
        points = (np.array(stroke) - 0.5) * scale + 0.5 + np.array(move)
        for a, b in zip(points, [*points[1:], points[-1]], strict=True):
            length = (b - a) @ (b - a)
            along = (
                np.clip((pixels - a) @ (b - a) / length, 0, 1) if length > 0 else 0 * pixels[:, 0]
            )
            ink |= np.linalg.norm(pixels - a - along[:, None] * (b - a), axis=1) <= pen / 2
    return (255 * ink.reshape(side, side)).astype(np.uint8)
