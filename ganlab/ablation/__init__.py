"""Ablations: variants of a recipe x seeds, planned, run and reported on."""
