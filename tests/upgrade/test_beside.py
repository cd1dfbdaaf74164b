"""A second environment in the same account: a trial beside the practice, and neither touches the other."""

import shutil
from collections.abc import Iterator
from dataclasses import replace

import pytest

from local.stack import PRESET, Stack, deploy, down, up
from tests.integration.practice import Practice, at, evaluation, someone


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Stack]]:
    state = tmp_path_factory.mktemp("beside")
    try:
        first = up(state)
        own = {"PublicBaseUrl": first.public_url, "DashboardBaseUrl": first.dashboard_url}
        second = deploy(first.endpoint_url, "careloop-trial", {**PRESET, **own})
        yield first, replace(second, staff=[])
    finally:
        down(state)
        shutil.rmtree(state)


def test_two_stacks_share_nothing_that_has_a_name(stacks):
    def names(stack: Stack) -> set[str]:
        parts = stack.client("cloudformation").describe_stack_resources(StackName=stack.stack_name)["StackResources"]
        within = {"AWS::ApiGateway::Stage", "AWS::Cognito::UserPoolGroup"}  # within their API, within their pool
        return {each["PhysicalResourceId"] for each in parts if each["ResourceType"] not in within}

    first, second = stacks
    assert len(names(first)) > 100
    assert names(first) & names(second) == set()


def test_what_happens_in_the_trial_stays_there(stacks):
    first, second = map(Practice, stacks)
    somebody = someone("Tess")
    second.export([somebody], [evaluation(somebody, at("2026-03-02"))])
    assert first.send(at("2026-03-02", "16:00"))["due"] == 0
    assert second.send(at("2026-03-02", "16:00"))["sent"] == 1
    assert [len(practice.items("SurveysTable")) for practice in (first, second)] == [0, 1]


def test_each_counts_in_a_namespace_of_its_own(stacks):
    def namespace(stack: Stack) -> str:
        told = stack.client("lambda").get_function_configuration(FunctionName=stack.functions["SendSurveyFunction"])
        return str(told["Environment"]["Variables"]["METRICS_NAMESPACE"])

    assert [namespace(stack) for stack in stacks] == ["Careloop/careloop", "Careloop/careloop-trial"]
