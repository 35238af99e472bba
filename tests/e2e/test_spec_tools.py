"""spec dump, schema and diff, debug parse, validate --format json: no agent is asked, none is started."""
import json
import pathlib

import pytest

import jsonschema  # python3-jsonschema
import yaml  # python3-yaml

SHOP = """\
version: v1
deployment: bookshop
services:
  shelf-db:
    image: {name: "docker.io/library/postgres:16"}
    env: {POSTGRES_PASSWORD: $S:shelf-db-password, PORT: 5432, EMPTY: }
    storage:
      - {type: named, name: shelf-data, target: /var/lib/postgresql/data, size: 8Gi}
    endpoints: [{name: sql, protocol: tcp, port: 5432}]
    scale: {mode: fixed, replicas: 1}
    health: {start_grace: 20s, check: {type: command, command: pg_isready -q}}
  storefront:
    image: {name: "registry.example.net:5000/bookshop/storefront:2.4", pull_policy: newer}
    resources: {cpu: 0.75, memory: 384Mi, pids_limit: 256}
    command: {args: [serve, --listen, "0.0.0.0:8081"]}
    endpoints: [{name: web, protocol: http, port: 80, target_port: 8081, host: books.example.net, path: /shop, expose: public}]
    scale: {mode: adaptive, min: 2, max: 6, cooldown: 1m, targets: {cpu: 65, rps: 120}}
    depends: [{service: shelf-db, condition: healthy, timeout: 2m, on_timeout: fail}]
    init:
      steps: [{id: sql-port, uses: init.wait_tcp, with: {host: shelf-db, port: 5432, timeout: 90}, timeout: 100s}]
    errors: {on_init_failure: {action: backoff}, on_panic: {action: restart}}
    ulimits: {nofile: {soft: 8192}}
"""
JOBS = """\
version: v1
deployment: night-shift
services:
  render-report:
    rtype: job
    image: {name: "registry.example.net/reports/render:1"}
    command: {entrypoint: [/usr/bin/render], args: [--month, last]}
    storage:
      - {type: bind, source: /srv/reports, target: /out}
      - {type: tmpfs, target: /scratch, size: 64Mi, mode: 1777}
    lifecycle: {delete_on_exit: true}
  sweep-old:
    rtype: cron
    schedule: "0 15 2 * * MON-FRI"
    image: {name: "docker.io/library/busybox:1.36"}
    resources: {cpu: 0.1, memory: 32Mi}
    read_only_root_fs: true
"""
WASM = """\
version: v1
deployment: edge-greeter
services:
  greeter:
    service_type: wasm_http
    image: {name: "registry.example.net/edge/greeter:0.3"}
    wasm: {min_instances: 1, max_instances: 16, idle_timeout: 90s, max_memory: 48Mi, capabilities: {metrics: false}}
    endpoints: [{name: web, protocol: http, port: 8088, expose: public}]
    scale: {mode: fixed, replicas: 1}
"""
SAMPLES = {"shop": SHOP, "jobs": JOBS, "wasm": WASM}

SERVICE = "version: v1\ndeployment: abc\nservices:\n  a:\n    image: {name: x}\n"
BAD = {
    "a list as the document": "[1]",
    "no version": "deployment: abc",
    "an unknown field": SERVICE + "    volumes: []\n",
    "no image": "version: v1\ndeployment: abc\nservices: {a: {}}",
    "a service name with a slash": "version: v1\ndeployment: abc\nservices: {a/b: {image: {name: x}}}",
    "a word that is none": SERVICE + "    rtype: daemon\n",
    "a command that is a list": SERVICE + "    command: [a]\n",
    "a bool in quotes": SERVICE + "    tty: 'true'\n",
    "a port out of range": SERVICE + "    endpoints: [{name: a, protocol: tcp, port: 70000}]\n",
    "a size without unit": SERVICE + "    resources: {memory: 512M}\n",
    "a duration without unit": SERVICE + "    stop_grace_period: 30\n",
    "no cores": SERVICE + "    resources: {cpu: 0}\n",
    "a mount of no kind": SERVICE + "    storage: [{target: /a}]\n",
    "a scale without mode": SERVICE + "    scale: {replicas: 2}\n",
    "a number in a list of mappings": SERVICE + "    depends: [1]\n",
}


@pytest.fixture
def schema(world):
    schema = json.loads(world.zlayer("spec", "schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_schema_takes_what_is_valid_and_its_dump(world, schema, name):
    path = world.spec(SAMPLES[name])
    assert [e.message for e in schema.iter_errors(yaml.safe_load(SAMPLES[name]))] == []
    for form, load in ("json", json.loads), ("yaml", yaml.safe_load):
        dump = load(world.zlayer("spec", "dump", path, "-o", form).stdout)
        assert [e.message for e in schema.iter_errors(dump)] == []


@pytest.mark.parametrize("name", BAD)
def test_the_schema_refuses_what_is_structurally_wrong(world, schema, name):
    assert not schema.is_valid(yaml.safe_load(BAD[name]))
    world.zlayer("validate", world.spec(BAD[name]), code=3)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_dump_reads_back_as_the_same_dump(world, name):
    first = world.zlayer("spec", "dump", world.spec(SAMPLES[name])).stdout
    assert world.zlayer("spec", "dump", world.spec(first)).stdout == first


def properties(node, path=""):
    """Every field of the schema with its description, lists and alternatives included."""
    for name, child in node.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from properties(child, f"{path}.{name}")
    for part in [node.get("items"), node.get("additionalProperties"), *node.get("anyOf", [])]:
        if isinstance(part, dict):
            yield from properties(part, path)


def test_the_reference_page_is_what_the_tables_say(world, schema):
    reference = world.zlayer("spec", "reference").stdout
    page = (pathlib.Path(__file__).parents[2] / "docs/spec.md").read_text()
    assert page.endswith(reference) and len(reference) > 20000  # scripts/spec-page writes it
    fields = list(properties(schema.schema))
    told = {line.split("`")[1] for line in reference.splitlines() if line.startswith("| `")}
    words = {p.rsplit(".", 1)[1] for p, f in fields if "const" not in f and p.rsplit(".", 1)[1] != "pin"}
    assert words == told
    assert [p for p, f in fields if "const" not in f and not p.endswith(".pin") and "description" not in f] == []


def test_a_diff_names_fields_and_what_they_need(world):
    old = world.folder / "old.yml"
    old.write_text(SERVICE + "  gone:\n    image: {name: y}\n")
    new = world.folder / "new.yml"
    new.write_text(SERVICE + "    stop_grace_period: 1m\n    tty: true\n  fresh:\n    image: {name: y}\n")
    assert world.zlayer("spec", "diff", old, old).stdout == ""
    assert world.zlayer("spec", "diff", old, new, code=10).stdout == (
        "+ fresh\n- gone\n~ a: needs new containers\n"
        "    tty: false -> true  (new containers)\n"
        '    stop_grace_period: "30s" -> "1m"  (live)\n')
    diff = json.loads(world.zlayer("spec", "diff", old, new, "--format", "json", code=10).stdout)
    assert diff["services"]["added"] == ["fresh"] and diff["services"]["removed"] == ["gone"]
    assert [f["path"] for f in diff["services"]["changed"][0]["fields"]] == ["tty", "stop_grace_period"]


@pytest.mark.parametrize("kind,text,printed", [
    ("duration", "1us", "0.001"), ("duration", "1.5ms", "1.5"), ("duration", "1h30m", "5400000"),
    ("duration", "0", "0"), ("size", "2Ti", "2199023255552"), ("size", "007Mi", "7340032"),
    ("image", "nginx", "docker.io/library/nginx:latest"), ("image", "localhost/foo", "localhost/foo:latest"),
    ("env", "$E:HOME", "kind: host\nvariable: HOME"), ("env", "plain", "kind: literal\ntext: plain"),
    ("env", "$S:@svc/n/f", "kind: secret\nscope: service\nservice: svc\nname: n\nfield: f"),
])
def test_debug_parse_prints_what_a_value_is_read_as(world, kind, text, printed):
    assert world.zlayer("debug", "parse", kind, text).stdout == printed + "\n"


@pytest.mark.parametrize("kind,text", [
    ("duration", "30"), ("duration", ""), ("size", "512M"), ("size", "0Mi"), ("image", "Nginx"),
    ("image", ""), ("env", "$S:"), ("env", "$E:")])
def test_debug_parse_refuses_with_3_and_the_reason(world, kind, text):
    r = world.zlayer("debug", "parse", kind, text, code=3)
    assert r.stdout == "" and r.stderr.startswith("Error: ")


def test_debug_parse_knows_four_kinds(world):
    world.zlayer("debug", "parse", "colour", "red", code=2)


def test_validate_prints_findings_as_json(world):
    found = json.loads(world.zlayer("validate", world.spec(SERVICE + "    comand: {}\n"), "--format", "json",
                                    code=3).stdout)
    assert found["valid"] is False
    assert [(d["id"], d["line"], d["path"]) for d in found["diagnostics"]] == [
        ("E-UNKNOWN-FIELD", 6, "services.a.comand")]
    good = json.loads(world.zlayer("validate", world.spec(SERVICE), "--format", "json").stdout)
    assert good["valid"] is True
