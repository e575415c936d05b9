"""What is done to a recorded step before it is replayed; each pass leaves every number as it was.

Written through: a result that is only copied on is computed where it goes. Buffers: a result whose last use is over
makes room for another. In blocks: what goes through long arrays goes through them a block at a time.
"""

from tinynet.passes.blocks import in_blocks
from tinynet.passes.buffers import share_buffers
from tinynet.passes.write_through import write_through

__all__ = ["in_blocks", "share_buffers", "write_through"]
