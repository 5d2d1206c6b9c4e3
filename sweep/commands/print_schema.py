"""The JSON schema of specs."""

import json
from typing import Any

from sweep.spec.descriptions import DescribedJsonSchema
from sweep.spec.schema import Spec

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema_text() -> str:
    """Return the schema as JSON, with the descriptions of all keys.

    YAML has no tuples or paths: editors see lists and strings.
    """
    described = Spec.model_json_schema(schema_generator=DescribedJsonSchema)
    schema: dict[str, Any] = {"$schema": DIALECT, **described, "title": "Spec"}
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
