"""Reading and writing at places that an index names."""

ADD, MULTIPLY, GREATER, LESSER = range(4)  # how two numbers are combined
