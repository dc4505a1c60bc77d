"""LightningModules: the policy and the process reward model, and the backbones they wrap."""
