"""Files and object stores: locations, atomic writes, and a node's cache of remote files.

Imports no other package of jobs. To support another store, add its protocol and package to
`location`; `object_store` reaches all of them through fsspec.
"""
