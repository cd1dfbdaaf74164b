"""docs/api.yaml as a source of requests: each operation, and what fits it and what does not."""

import schemathesis
from hypothesis import strategies as st
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.hostile.gateway import DESCRIPTION

CHECKS: list[CheckFunction] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def _operations() -> dict[str, APIOperation]:
    found = {}
    for result in schemathesis.openapi.from_path(DESCRIPTION).get_all_operations():
        assert isinstance(result, Ok)
        found[result.ok().label] = result.ok()
    return found


OPERATIONS = _operations()
OF_PATIENTS = [label for label in OPERATIONS if " /s/" in label or " /u/" in label]
OF_STAFF = [label for label in OPERATIONS if label not in OF_PATIENTS]


def cases_of(label: str) -> st.SearchStrategy[schemathesis.Case]:
    """Requests that fit an operation's description and, where there is anything to get wrong, such that do not."""
    operation = OPERATIONS[label]
    fitting: st.SearchStrategy[schemathesis.Case] = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if not (operation.body or operation.query or operation.path_parameters or operation.headers):
        return fitting
    return st.one_of(fitting, operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
