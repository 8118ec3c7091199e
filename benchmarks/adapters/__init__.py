"""One file for each library, all with one signature.

A module has two names. ``version()`` returns the library's version, or that
of its parts. ``Trainer(problem, X, y, n_threads)`` prepares whatever can be
kept from one fit to the next, and has two methods: ``train(epochs)`` trains
that many epochs from fresh weights, and ``weights()`` returns the lists of
weights, of shape (fan_in, fan_out), and of biases that came out.

Each module imports its library itself and at its top: where that is missing
the others run all the same.
"""

NAMES = (
    "sknet",
    "scikit_learn",
    "torch_eager",
    "torch_compile",
    "jax_scan",
    "keras",
    "skorch",
    "nothing",
)
