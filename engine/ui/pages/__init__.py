"""One file per page: read controls, ask for tables, place views."""
