"""WeSpeaker's speaker networks.

To add an architecture, add its name or a group with its taps to `architectures`.
"""
