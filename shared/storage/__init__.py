"""The tables: one small repository each, and the only place that knows attribute names."""
