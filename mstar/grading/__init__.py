"""`mstar grade`: grade recorded responses, and measure the grader where verdicts are recorded too."""
