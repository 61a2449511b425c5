"""The data plane: compiles Ibis expressions, runs them on DuckDB or Spark, keeps curated tables and immutable runs."""
