"""Audio: reading, segments, time-stretching and filterbank features."""
