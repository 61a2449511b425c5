"""One module for each command: its options, the one workflow it calls, and how the result looks."""
