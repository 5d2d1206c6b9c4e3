"""Audio: reading files, segments of recordings, time-stretching and filterbank features.

Imports no other package of jobs. To add a feature, write it beside `features.Fbank`; how a network
uses it is its front end in `jobs.models`.
"""
