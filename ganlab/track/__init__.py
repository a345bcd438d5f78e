"""What a run leaves behind: its folder, which is the truth, and MLflow's mirror of it."""
