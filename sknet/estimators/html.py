"""Drawings of a fitted network for notebooks, before scikit-learn's table of parameters.

The drawings are inline SVG. They have the colour of the text, which suits dark
pages. They load nothing, and screen readers read their descriptions.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import isfinite
from typing import Any

# Pixels.
BOX_WIDTH, BOX_HEIGHT, GAP, LETTER = 108, 48, 32, 7
PLOT_WIDTH, PLOT_HEIGHT, LEFT, BOTTOM, MARGIN = 280, 110, 64, 36, 8

# A longer loss curve is drawn with about this many points, since more could not be told apart.
MOST_POINTS = 560


class NetworkHTML:
    """Puts drawings of the layers and the loss curve before scikit-learn's display.

    It extends the two methods of scikit-learn by which notebooks get the display
    of an estimator. In the display of another estimator that contains this one,
    such as a pipeline, the drawings are shown with the parameters of this step. This
    needs scikit-learn 1.7 or later: earlier versions show the step as text.
    """

    def _repr_html_inner(self) -> str:
        return _with_drawings_first(self, super()._repr_html_inner())  # type: ignore[misc]

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        bundle = super()._repr_mimebundle_(**kwargs)  # type: ignore[misc]
        if "text/html" in bundle:
            bundle["text/html"] = _with_drawings_first(self, bundle["text/html"])
        return bundle

    def _get_params_html(self, *args: Any, **kwargs: Any) -> Any:
        """Return the parameters, which scikit-learn asks for the table of a step."""
        params = super()._get_params_html(*args, **kwargs)  # type: ignore[misc]
        table = getattr(params, "_repr_html_inner", None)
        if table is not None:
            params._repr_html_inner = lambda: network_html(self) + table()
        return params


def _with_drawings_first(mlp: Any, html: str) -> str:
    """Return HTML of a network with its drawings at the top, and only there."""
    drawings = network_html(mlp)
    return drawings + html.replace(drawings, "")


def network_html(mlp: Any) -> str:
    """Return drawings of a fitted network, or '' if it is not fitted."""
    if not hasattr(mlp, "coefs_"):
        return ""
    try:
        spec = mlp._spec()
    except ValueError:  # weights that were set by hand and fit nothing
        return ""
    title = f"{type(mlp).__name__}, {spec.params.size:,} parameters, {spec.params.dtype}"
    drawings = layers_svg(title, spec.units, [*spec.activations, spec.out_activation])
    curve = getattr(mlp, "loss_curve_", ())
    if len(curve) > 1 and all(map(isfinite, curve)):
        drawings += loss_svg(curve)
    return f'<div style="overflow-x: auto; margin-bottom: 0.5em">{drawings}</div>'


def layers_svg(title: str, units: Sequence[int], activations: Sequence[str]) -> str:
    """Return a drawing of layers, from left to right.

    Parameters
    ----------
    title : str
        Text above the drawing.
    units : sequence of int of length n_layers + 1
        Widths: features, hidden layers, outputs.
    activations : sequence of str of length n_layers
        Names of the activations. The last one is that of the inverse link.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    kinds = ["feature", *["unit"] * (len(units) - 2), "output"]
    sizes = [f"{n:,} {kind}{'' if n == 1 else 's'}" for n, kind in zip(units, kinds, strict=True)]
    middle, top = MARGIN + 20 + BOX_HEIGHT / 2, MARGIN + 20
    pieces = [_text(MARGIN, MARGIN + 8, title, "start")]
    for l, size in enumerate(sizes):
        left = MARGIN + l * (BOX_WIDTH + GAP)
        pieces.append(
            f'<rect x="{left}" y="{top}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6" '
            'fill="none" stroke="currentColor"/>'
        )
        centre = left + BOX_WIDTH / 2
        if l == 0:
            pieces.append(_text(centre, middle + 4, size))
            continue
        pieces.append(_text(centre, middle - 5, size))
        pieces.append(_text(centre, middle + 13, activations[l - 1]))
        tip = left - 3
        pieces.append(
            f'<path d="M{left - GAP + 3} {middle}H{tip}m-6 -4l6 4l-6 4" fill="none" '
            'stroke="currentColor"/>'
        )
    layers = [f"{size} ({name})" for size, name in zip(sizes[1:], activations, strict=True)]
    width = max(len(units) * (BOX_WIDTH + GAP) - GAP, LETTER * len(title)) + 2 * MARGIN
    return _svg(
        width, top + BOX_HEIGHT + MARGIN, title, ", then ".join([sizes[0], *layers]), pieces
    )


def loss_svg(curve: Sequence[float]) -> str:
    """Return a drawing of the training loss over epochs.

    Parameters
    ----------
    curve : sequence of float of length n_epochs
        Finite, at least two.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    n, low, high = len(curve), min(curve), max(curve)
    last = n - 1
    shown = [*range(0, last, -(-n // MOST_POINTS)), last]
    span = (high - low) or 1.0
    points = " ".join(
        f"{LEFT + i / last * PLOT_WIDTH:.1f},{MARGIN + (high - curve[i]) / span * PLOT_HEIGHT:.1f}"
        for i in shown
    )
    right, floor = LEFT + PLOT_WIDTH, MARGIN + PLOT_HEIGHT
    middle = MARGIN + PLOT_HEIGHT / 2
    pieces = [
        f'<path d="M{LEFT} {MARGIN}V{floor}H{right}" fill="none" stroke="currentColor" '
        'stroke-opacity="0.5"/>',
        f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.5"/>',
        _text(LEFT - 4, MARGIN + 8, f"{high:.3g}", "end"),
        _text(LEFT - 4, floor, f"{low:.3g}", "end"),
        _text(LEFT, floor + 14, "1", "start"),
        _text(right, floor + 14, str(n), "end"),
        _text(LEFT + PLOT_WIDTH / 2, floor + 28, "Epoch"),
        f'<g transform="rotate(-90 14 {middle})">{_text(14, middle, "Training loss")}</g>',
    ]
    says = f"Over {n} epochs it went from {curve[0]:.3g} to {curve[-1]:.3g}"
    return _svg(right + MARGIN, floor + BOTTOM, "Training loss by epoch", says, pieces)


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(width: float, height: float, title: str, says: str, pieces: Sequence[str]) -> str:
    # The accessible name is an aria-label. It could refer to the ids of title and desc, but ids
    # must be unique, and a page may show the same network twice.
    title, says = escape(title), escape(says)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{title}: {says}" '
        f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}" '
        'font-family="sans-serif" font-size="12" fill="currentColor" style="display: block">'
        f"<title>{title}</title><desc>{says}</desc>{''.join(pieces)}</svg>"
    )
