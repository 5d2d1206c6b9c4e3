"""What a user writes: the spec's settings, loaded with the position of every problem."""
