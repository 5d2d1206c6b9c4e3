"""Statistics: scores, intervals, differences and the tables made of them. Pure functions."""
