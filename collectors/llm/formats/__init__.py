"""How each provider's requests and responses are read, one format a file."""
