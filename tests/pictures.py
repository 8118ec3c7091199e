"""What tests of displays share: a small network, and whether a figure shows all that it has."""

from __future__ import annotations

import sknet


def network(cls=sknet.MLPClassifier, **parameters):
    """Return a network of few units, whose large tol ends training soon and without a warning."""
    parameters = {"tol": 0.1, "n_iter_no_change": 2, "random_state": 0, **parameters}
    return cls(**{"hidden_layer_sizes": (6,), **parameters})


def cut_off(figure) -> float:
    """Return by how many pixels something sticks out of a figure that is saved as it is."""
    figure.canvas.draw()
    box = figure.get_tightbbox().transformed(figure.dpi_scale_trans)
    whole = figure.bbox
    return max(whole.x0 - box.x0, whole.y0 - box.y0, box.x1 - whole.x1, box.y1 - whole.y1)


def overlaps(texts) -> list[tuple[str, str]]:
    """Return the pairs of texts that are printed over each other."""
    drawn = [(t.get_text(), t.get_window_extent()) for t in texts if t.get_text().strip()]
    return [
        (one, other)
        for k, (one, box) in enumerate(drawn)
        for other, other_box in drawn[k + 1 :]
        if box.overlaps(other_box)
    ]
