"""Files -> uint8 batches: decoding, folders, the cache, the order of showing."""
