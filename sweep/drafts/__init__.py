"""First drafts of specs, written from a look at the data.

`sweep.drafts.table` and `sweep.drafts.librispeech` look at a corpus, `sweep.drafts.models` at the
models that a user names, and `sweep.drafts.write` writes the YAML. A draft for another kind of
corpus is a function that returns a `sweep.drafts.draft.Draft`.
"""
