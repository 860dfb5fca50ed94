#!/usr/bin/env python3
"""Checks the manifests of docs/kubernetes against Kubernetes' own JSON schemas, and PyTorchJobs against Kubeflow's models.

    python3 -m venv checks && checks/bin/pip install kubernetes-validate==1.37.0 kubeflow-training==1.9.4
    checks/bin/python scripts/check_manifests.py          # every Kubernetes from 1.31 on that the package knows
    checks/bin/python scripts/check_manifests.py --cut    # writes host/launch/tests/kubernetes.json anew

Strictly: an unknown field is an error, in the pod templates of a PyTorchJob as well. --cut keeps of the newest schemas what the
manifests use: of a field that no manifest has only its name is left. Ends with 1 if a manifest does not fit. The schemas that
--cut writes are Kubernetes' and Kubeflow's, under Apache-2.0.
"""
import argparse
import json
import re
import sys
from importlib.metadata import version
from pathlib import Path

import jsonschema
import yaml
from kubeflow.training import models
from kubeflow.training.configuration import Configuration
from kubernetes_validate import utils

ROOT = Path(__file__).resolve().parent.parent
MANIFESTS = ROOT / "docs/kubernetes"
CUT = ROOT / "host/launch/tests/kubernetes.json"
# podFailurePolicy is stable from here on.
OLDEST = (1, 31)
PLAIN = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "datetime": "string"}
KINDS = {
    "v1/Service": "io.k8s.api.core.v1.Service",
    "batch/v1/Job": "io.k8s.api.batch.v1.Job",
    "kubeflow.org/v1/PyTorchJob": "KubeflowOrgV1PyTorchJob",
}
# What servers check in code and no schema says. Each word is looked for in the field's description.
CHOICES = {
    ("io.k8s.api.batch.v1.JobSpec", "completionMode"): ["NonIndexed", "Indexed"],
    ("io.k8s.api.batch.v1.PodFailurePolicyRule", "action"): ["FailJob", "FailIndex", "Ignore", "Count"],
    ("io.k8s.api.batch.v1.PodFailurePolicyOnExitCodesRequirement", "operator"): ["In", "NotIn"],
    ("io.k8s.api.core.v1.PodSpec", "restartPolicy"): ["Always", "OnFailure", "Never"],
    ("KubeflowOrgV1ReplicaSpec", "restartPolicy"): ["Always", "OnFailure", "Never", "ExitCode"],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cut", action="store_true", help=f"write {CUT.relative_to(ROOT)}")
    arguments = parser.parse_args()
    manifests = [
        (path.name, manifest)
        for path in sorted(MANIFESTS.glob("*.yaml"))
        for manifest in yaml.safe_load_all(path.read_text())
    ]
    versions = [text for text in dict.fromkeys(utils.all_versions()) if tuple(map(int, text.split(".")[:2])) >= OLDEST]
    problems = 0
    for kubernetes in versions:
        definitions = definitions_of(kubernetes)
        for name, manifest in manifests:
            found = sorted(set(problems_of(manifest, definitions)))
            problems += len(found)
            for problem in found:
                print(f"{name}, Kubernetes {kubernetes}: {problem}")
    packages = ", ".join(f"{name} {version(name)}" for name in ("kubernetes-validate", "kubeflow-training"))
    print(f"{len(manifests)} manifests, Kubernetes {', '.join(versions)} ({packages}): {problems} problems")
    if arguments.cut:
        write_cut(manifests, definitions_of(versions[-1]), packages)
    return 1 if problems else 0


def definitions_of(kubernetes):
    """Kubernetes' definitions by name, with Kubeflow's beside them."""
    file = f"kubernetes-json-schema/v{kubernetes}-local-strict/_definitions.json"
    definitions = utils.schema_contents(file, kubernetes)["$defs"]
    add_model("KubeflowOrgV1PyTorchJob", definitions)
    for (name, field), choices in CHOICES.items():
        schema = definitions[name]["properties"][field]
        said = schema.get("description", "")
        # Kubeflow's description of its restart policies names them elsewhere.
        missing = [word for word in choices if word not in said] if name.startswith("io.") else []
        assert not missing, f"{name}.{field}: {missing} is not in its description"
        schema["enum"] = choices
    return definitions


def add_model(name, definitions):
    """A model of kubeflow.training as a schema, with those that it refers to."""
    if name in definitions:
        return
    model = getattr(models, name)
    definitions[name] = schema = {"type": "object", "additionalProperties": False, "properties": {}}
    empty = model.__new__(model)
    empty.local_vars_configuration = Configuration()
    for attribute, field in model.attribute_map.items():
        schema["properties"][field] = type_schema(model.openapi_types[attribute], definitions)
        try:
            setattr(empty, attribute, None)
        except ValueError:
            schema.setdefault("required", []).append(field)


def type_schema(kind, definitions):
    """The schema of a type as openapi-generator writes it: `dict(str, V1Pod)`, `list[int]`."""
    if inner := re.fullmatch(r"dict\(str, (.*)\)", kind):
        return {"type": "object", "additionalProperties": type_schema(inner[1], definitions)}
    if inner := re.fullmatch(r"list\[(.*)\]", kind):
        return {"type": "array", "items": type_schema(inner[1], definitions)}
    if kind in PLAIN:
        return {"type": PLAIN[kind]}
    if kind.startswith("KubeflowOrg"):
        add_model(kind, definitions)
        return {"$ref": f"#/$defs/{kind}"}
    for package in ("io.k8s.api.core", "io.k8s.apimachinery.pkg.apis.meta", "io.k8s.api.autoscaling"):
        match = re.fullmatch(r"(V\d+(?:(?:alpha|beta)\d+)?)(\w+)", kind)
        name = f"{package}.{match[1].lower()}.{match[2]}" if match else kind
        if name in definitions:
            return {"$ref": f"#/$defs/{name}"}
    if kind == "Quantity":
        return {"$ref": "#/$defs/io.k8s.apimachinery.pkg.api.resource.Quantity"}
    if kind == "object" or kind.startswith("K8sIo"):
        return {}
    raise SystemExit(f"{kind}: expected a type of Kubernetes or Kubeflow, found another one")


def problems_of(manifest, definitions):
    kind = f"{manifest['apiVersion']}/{manifest['kind']}"
    if kind not in KINDS:
        return [f"unknown kind {kind}"]
    schema = {"$ref": f"#/$defs/{KINDS[kind]}", "$defs": definitions}
    errors = jsonschema.Draft202012Validator(schema).iter_errors(manifest)
    return [f"{error.json_path}: {error.message}" for error in errors]


def write_cut(manifests, definitions, packages):
    used = {}
    for _, manifest in manifests:
        kind = f"{manifest['apiVersion']}/{manifest['kind']}"
        collect({"$ref": f"#/$defs/{KINDS[kind]}"}, manifest, definitions, used)
    cut = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": f"What the manifests of docs/kubernetes use of the schemas in {packages}, cut out by scripts/check_manifests.py; "
        "of fields that they do not use the name is left. Copyright The Kubernetes Authors and The Kubeflow Authors, Apache-2.0 "
        "(LICENSE-APACHE).",
        "kinds": KINDS,
        "$defs": {name: cut_definition(definitions[name], fields) for name, fields in sorted(used.items())},
    }
    lines = json.dumps(cut, indent=1, ensure_ascii=False)
    # Values without braces in them stay on one line.
    lines = re.sub(r"([\[{])\s+([^\[\]{}]*?)\s+([\]}])", lambda m: m[1] + re.sub(r"\s*\n\s*", " ", m[2]) + m[3], lines)
    CUT.write_text(lines + "\n")
    print(f"{CUT.relative_to(ROOT)}: {CUT.stat().st_size} bytes")


def collect(schema, value, definitions, used):
    """Which fields of which definitions this value uses."""
    if name := schema.get("$ref", "").rpartition("/")[2]:
        fields = used.setdefault(name, set())
        if isinstance(value, dict):
            fields.update(field for field in value if field in definitions[name].get("properties", {}))
        return collect(definitions[name], value, definitions, used)
    if isinstance(value, list):
        for item in value:
            collect(schema.get("items", {}), item, definitions, used)
    elif isinstance(value, dict):
        others = schema.get("additionalProperties") or {}
        for field, item in value.items():
            collect(schema.get("properties", {}).get(field, others), item, definitions, used)


def cut_definition(schema, fields):
    short = stripped(schema)
    for field in short.get("properties", {}):
        if field not in fields:
            short["properties"][field] = True
    return short


def stripped(schema):
    """Without descriptions, and without null, which no manifest has."""
    if isinstance(schema, list):
        return [stripped(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    short = {}
    for key, value in schema.items():
        if key == "properties":
            short[key] = {name: stripped(field) for name, field in value.items()}
        elif key == "type" and isinstance(value, list):
            kept = [kind for kind in value if kind != "null"]
            short[key] = kept[0] if len(kept) == 1 else kept
        elif key not in ("description", "format", "default") and not key.startswith("x-"):
            short[key] = stripped(value)
    return short


if __name__ == "__main__":
    sys.exit(main())
