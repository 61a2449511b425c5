"""Free text: personal data masked, and what is said and how it is felt by a small model that works offline."""
