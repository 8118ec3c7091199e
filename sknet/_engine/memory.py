"""How parameters are laid out in memory."""

# Parameters are updated in blocks of this many, so that a block and its slots stay in the L1
# cache. It is not a power of two: processors first compare addresses modulo 4096 bytes, and loads
# of one slot would wait for stores to another.
PARAM_BLOCK = 960
