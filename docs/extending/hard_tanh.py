"""An activation in one class: hard tanh."""

from sknet.activations import Activation


class HardTanh(Activation, name="hard_tanh"):
    """Hard tanh: f(z) = min(1, max(-1, z)), f'(z) = 1 where abs(z) < 1 and 0 elsewhere.

    References
    ----------
    Collobert, R. (2004). Large scale machine learning. PhD thesis, Universite Paris VI.
    """

    @staticmethod
    def forward(a):
        """Overwrite `a` with min(1, max(-1, a))."""
        one = a.dtype.type(1)
        for i in range(a.size):
            a[i] = min(one, max(-one, a[i]))

    @staticmethod
    def backward(z, a, delta):
        """Set `delta` to 0 where a is -1 or 1."""
        zero, one = a.dtype.type(0), a.dtype.type(1)
        for i in range(delta.size):
            delta[i] = delta[i] if abs(a[i]) < one else zero
