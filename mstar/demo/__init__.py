"""The embedded default task: a tiny vision-language model learns to read handwriting from answers alone."""
