"""Five families of art with neural networks, as toys that a stranger might write: one loop must carry them all."""
