"""Mathematical expressions, compared by math-verify in processes that can be killed."""
