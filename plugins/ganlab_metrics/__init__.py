"""ganlab plugin."""
