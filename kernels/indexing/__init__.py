"""Reading and writing at places that an index names."""
