"""The built losses and regularizers: everything of this package that imports torch."""
