"""From a drawn picture to the small image that a network was trained on.

A network reads only what looks like its training data. The drawing therefore goes through the steps
by which the training images were made from scanned handwriting.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import affine_transform, center_of_mass, distance_transform_edt, shift

# A drawn picture has this many pixels on each side. A pixel is 0 for paper and 255 for ink.
SIDE = 128

# The fine grid that a drawing is scaled to has this many points for each pixel of a bitmap.
FINE = 4

# How load_digits was made, according to the description of the data set: the digit was fitted into
# a bitmap of 32 x 32 pixels, and the ink was counted in blocks of 4 x 4. The numbers below are read
# off the images themselves: nearly all fill all rows and the six columns in the middle, a 1 is not
# spread, all have about the same ink, and their main strokes are upright.
BITMAP_SIDE = 32
BITMAP_BOX = (32, 20)
BLOCK = 4
INK = 310  # pixels of the bitmap
SLENDER = 2  # a digit this many times as high as wide, or more, keeps its proportions

# How MNIST was made (http://yann.lecun.com/exdb/mnist): the digit was fitted into a box of 20 x 20
# pixels with its proportions kept, and its centre of mass was moved to the centre of 28 x 28.
MNIST_SIDE = 28
MNIST_BOX = 20
MNIST_RADIUS = 1.6  # half the mean width of its strokes, in pixels, measured on the images


def has_ink(picture: np.ndarray) -> bool:
    """Return whether anything is drawn.

    Parameters
    ----------
    picture : ndarray of shape (SIDE, SIDE)
        Pixels from 0 to 255.

    Returns
    -------
    bool
    """
    return bool(_is_ink(picture).any())


def as_small_digit(picture: np.ndarray) -> np.ndarray:
    """Return the drawing as an image of :func:`sklearn.datasets.load_digits`, divided by 16.

    Parameters
    ----------
    picture : ndarray of shape (SIDE, SIDE)
        Pixels from 0 to 255. Some must be ink.

    Returns
    -------
    ndarray of shape (64,)
        The share of ink in each block, in [0, 1].
    """
    ink = _is_ink(picture)
    rows, columns = np.nonzero(ink)
    slant = _slant(rows, columns)
    upright = columns - slant * (rows - rows.mean())
    height, width = np.ptp(rows) + 1, np.ptp(upright) + 1
    # A step in the bitmap is that many pixels of the picture.
    step = np.array([height / BITMAP_BOX[0], width / BITMAP_BOX[1]])
    if height >= SLENDER * width:
        step[1] = step[0]
    elif width >= SLENDER * height:
        step[0] = step[1]
    centre = np.array([_middle(rows), _middle(upright)])
    centre[1] += slant * (centre[0] - rows.mean())
    shear = np.array([[1, 0], [slant, 1]])
    fine = _resampled(ink, shear * step, centre, BITMAP_SIDE)
    # The deepest points stay ink. This gives all drawings strokes of the width that load_digits
    # has, whatever the pen and the size.
    depth = _depth(fine)
    n_ink = INK * FINE**2
    bitmap = depth >= np.partition(depth, -n_ink, axis=None)[-n_ink]
    return _block_means(bitmap, BLOCK * FINE).ravel()


def as_mnist_digit(picture: np.ndarray) -> np.ndarray:
    """Return the drawing as an image of MNIST.

    Parameters
    ----------
    picture : ndarray of shape (SIDE, SIDE)
        Pixels from 0 to 255. Some must be ink.

    Returns
    -------
    ndarray of shape (784,)
        Pixels in [0, 1].
    """
    ink = _is_ink(picture)
    rows, columns = np.nonzero(ink)
    step = (max(np.ptp(rows), np.ptp(columns)) + 1) / MNIST_BOX
    centre = np.array([_middle(rows), _middle(columns)])
    fine = _resampled(ink, np.eye(2) * step, centre, MNIST_SIDE)
    # Inside of a stroke the depth rises evenly from 0 to half its width, so its mean is half of
    # that. Strokes are made as wide as those of MNIST, so that small drawings are not blots.
    depth = _depth(fine)
    radius = 2 * depth[depth > 0].mean()
    image = _block_means(depth > radius - MNIST_RADIUS * FINE, FINE)
    move = np.round((MNIST_SIDE - 1) / 2 - np.array(center_of_mass(image)))
    return shift(image, move, order=0).ravel()


def _is_ink(picture: np.ndarray) -> np.ndarray:
    return picture >= 128


def _middle(positions: np.ndarray) -> float:
    return (positions.min() + positions.max()) / 2


def _slant(rows: np.ndarray, columns: np.ndarray) -> float:
    """Return how far the drawing leans: the regression of columns on rows, at most 45 degrees."""
    below = rows - rows.mean()
    spread = below @ below
    return float(np.clip(below @ columns / spread, -1, 1)) if spread > 0 else 0.0


def _resampled(ink: np.ndarray, step: np.ndarray, centre: np.ndarray, side: int) -> np.ndarray:
    """Return the drawing on the fine grid of a bitmap with `side` pixels on each side.

    `step` is the matrix of shape (2, 2) from steps in the bitmap to pixels of the
    picture. The point `centre` of the picture comes to the centre of the bitmap.
    """
    matrix = step / FINE
    n = side * FINE
    offset = centre - matrix @ np.full(2, (n - 1) / 2)
    values = affine_transform(ink.astype(float), matrix, offset, output_shape=(n, n), order=1)
    return values >= values.max() / 2  # the thinnest line leaves some ink


def _depth(ink: np.ndarray) -> np.ndarray:
    """Return the distance to the nearest paper inside of ink, and minus that to ink outside."""
    return distance_transform_edt(ink) - distance_transform_edt(~ink)


def _block_means(bitmap: np.ndarray, size: int) -> np.ndarray:
    n = len(bitmap) // size
    return bitmap.reshape(n, size, n, size).mean(axis=(1, 3))
