"""Linear layers of few numbers."""
