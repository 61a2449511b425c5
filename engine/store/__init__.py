"""The operational database: runs, exports, experiments, audiences, audit."""
