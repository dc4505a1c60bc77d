"""Commands beside the runs: what a machine has, what a configuration may hold, what a shell completes."""
