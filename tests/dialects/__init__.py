"""How providers answer, written from their own clients' types: what the local server of the tests speaks."""
