"""Files and object stores: locations, atomic writes, and a node's cache of remote files."""
