"""Training: a run from its recipe to its end, in small parts that each do one thing."""
