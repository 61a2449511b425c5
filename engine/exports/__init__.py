"""Bundles with manifests and checksums for campaign tools."""
