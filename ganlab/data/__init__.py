"""Real images: packed into shards, read in an order that is a pure function of seed and position, fed to training."""
