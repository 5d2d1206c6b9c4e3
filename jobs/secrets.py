"""Removes secrets from text: passwords and tokens given in an address or an option.

Records of a run (provenance, ledger, events, logs, messages) may be shared, and the command that
started it may contain a secret.
"""

import re

HIDDEN = "***"
"""Replacement of a secret."""

_USER = re.compile(r"(?<=://)[^/\s'\"@]+(?:@[^/\s'\"@]+)*(?=@)")
"""User and password of a URL: RFC 3986, section 3.2.1."""
_PASSWORD = re.compile(r"(?<=://)[^/\s'\"@:]*:(?!\d+(?:[\s'\"/,;.)]|$))[^\n@]+(?=@)")
"""User and password of a URL as they may be typed, with blanks, quotes and slashes; a port is no
password."""
_VALUE = re.compile(
    r"""(?ix)
    (?P<name> (?<![\w/-]) (?:[\w.-]*[_.-])?
        (?: token | secret | password | passwd | passphrase | authorization | signature | sig
          | credentials? | (?:api|access|private|secret)[_-]?key ) )
    (?P<between> ["']? \s* [=:] \s* (?:(?:bearer|basic)\s+)? )
    (?P<value> "[^"]*" | '[^']*' | [^\s&;,"'})\]]+ )
    """
)
"""``token=…``, ``--set models.0.api_key=…``, ``X-Amz-Signature=…``, ``Authorization: Bearer …``."""
_SHAPE = re.compile(r"\b(?:hf_|ghp_|github_pat_|glpat-)\w{16,}|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")
"""Tokens of Hugging Face, GitHub and GitLab, and Amazon's key ids, by their prefixes."""


def without_secrets(text: str) -> str:
    """Replace secrets in ``text`` by `HIDDEN`.

    They are recognised by their place (in a URL, or after a name such as ``token`` or
    ``password``) or by the prefix of their issuer.
    """
    text = _USER.sub(HIDDEN, _PASSWORD.sub(HIDDEN, text))
    text = _VALUE.sub(rf"\g<name>\g<between>{HIDDEN}", text)
    return _SHAPE.sub(HIDDEN, text)
