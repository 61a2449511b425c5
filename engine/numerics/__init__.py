"""Small pure helpers used by two or more core packages."""
