"""The command ``draw``: a page on this computer, where a network reads drawn digits."""
