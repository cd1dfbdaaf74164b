"""A template as CloudFormation sees it: SAM's short forms written out, by the translator that AWS itself runs."""

import json
import subprocess
from typing import Any

from local.template import ROOT

SAM = ROOT / ".venvs" / "sam" / "bin" / "python"
_PROGRAM = """
import json, logging, sys
import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
logging.disable()
session = boto3.Session(region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
json.dump(Translator({}, Parser(), boto_session=session).translate(json.load(sys.stdin), {}), sys.stdout)
"""
_ARTIFACT = {"Bucket": "artifacts", "Key": "artifact.zip"}


def expanded(template: dict[str, Any]) -> dict[str, Any]:
    """The template after SAM's transformation, its artifact being in a bucket, as after packaging."""
    packaged = json.loads(json.dumps(template))
    packaged["Globals"]["Function"]["CodeUri"] = _ARTIFACT
    for resource in packaged["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource.pop("Metadata", None)
    command = [str(SAM), "-I", "-W", "ignore", "-c", _PROGRAM]
    done = subprocess.run(command, input=json.dumps(packaged), capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result
