"""The front door: rows from any language over HTTP, on disk before they are acknowledged."""
