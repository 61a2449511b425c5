"""One verb per file: the only place that composes core packages."""
