"""The JSON schema of the settings, for editors that complete and check as one types."""

import json
from typing import Any

from alpaca_focus.settings.models import Settings

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Return the schema of a settings file, draft 2020-12, with a description of every setting."""
    schema = Settings.model_json_schema()
    for section in (schema, *schema["$defs"].values()):
        for setting in section["properties"].values():
            setting.pop("title", None)  # pydantic's are the names again, in capitals
    return {"$schema": DIALECT} | schema | {"title": "alpaca-focus settings"}


def schema_text() -> str:
    """Return the schema as it is published in `config/alpaca-focus.schema.json`."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
