"""
=========================================
What do the hidden units of a net detect?
=========================================

To be written.
"""
