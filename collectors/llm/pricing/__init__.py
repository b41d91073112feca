"""What prices are made of: rates, the catalogue, the user's own price file, and the book that chooses between them."""
