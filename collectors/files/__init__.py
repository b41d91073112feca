"""Files: traces and exports in CSV, JSON lines and Parquet."""
