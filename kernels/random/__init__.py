"""Random bits and uniforms: Philox4x32-10."""
