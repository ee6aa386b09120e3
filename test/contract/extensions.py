"""What Schemathesis has to be told about the API: what no schema has words for, and how events are written as lines or as Avro."""

import gzip
import itertools
import json
import os
import sys
import time
import uuid

import requests
import schemathesis
from schemathesis import GenerationMode

AVRO_SCHEMA = {
    "type": "record",
    "name": "Event",
    "fields": [
        {"name": name, "type": kind}
        for name, kind in (
            ("event_id", "string"),
            ("user_id", "string"),
            ("event_type", "string"),
            ("timestamp", "long"),
            ("metadata", "string"),
        )
    ],
}
SYNC = bytes(range(16))
EXACT_MAX = 2**53 - 1
OVERLOADED_TIMES_MAX = 20
# Sources of leads for which fields were defined here.
DEFINED_SOURCES = "contract-"
URL = os.environ["MILLRACE_CONTRACT_URL"]
# Who is spoken for: what requests carry, and the account that it belongs to.
AUTHORIZATION = os.environ["MILLRACE_CONTRACT_AUTHORIZATION"]
ACCOUNT = json.loads(os.environ["MILLRACE_CONTRACT_ACCOUNT"])


class ManyAddresses(requests.adapters.HTTPAdapter):
    """Sends from all of 127.0.0.0/24 in turn: the gateway bounds failed logins and 401s by address, and this sends many of them."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.every = itertools.cycle([OneAddress(f"127.0.0.{last}") for last in range(2, 250)])

    def send(self, request, **kwargs):
        # A busy gateway sends requests away, and asks for them again: it has done nothing with them.
        for _ in range(OVERLOADED_TIMES_MAX):
            response = next(self.every).send(request, **kwargs)
            if response.status_code != 503 or b'"OVERLOADED"' not in response.content:
                break
            time.sleep(int(response.headers.get("Retry-After", "1")))
        return response


class OneAddress(requests.adapters.HTTPAdapter):
    def __init__(self, address):
        self.address = address
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *args, **kwargs):
        super().init_poolmanager(*args, source_address=(self.address, 0), **kwargs)


# Only Linux answers to all of them without being told.
if sys.platform == "linux":
    requests.sessions.HTTPAdapter = ManyAddresses


@schemathesis.auth(refresh_interval=None, retry_on=[])
class Caller:
    def get(self, case, context):
        return AUTHORIZATION

    def set(self, case, data, context):
        ends = case.operation.definition.raw.get("operationId") == "logout" and not data.startswith("Bearer mk_")
        # A session can be ended once, and the others need theirs to the end.
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {login()}" if ends else data}


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Lines and containers are lists of what a JSON body is a list of: Schemathesis makes the lists, and the serializers below write them."""
    for methods in raw_schema["paths"].values():
        for operation in methods.values():
            content = operation.get("requestBody", {}).get("content", {})
            for media_type, media in content.items():
                if media_type in ("application/x-ndjson", "application/avro", "avro/binary"):
                    of_json = content["application/json"]
                    items = next(form["items"] for form in of_json["schema"]["anyOf"] if form.get("type") == "array")
                    media["schema"] = {"type": "array", "items": items, "minItems": 1, "maxItems": 20}
                    example = of_json["examples"]["example1"]["value"]
                    media["examples"] = {"one": {"value": example if isinstance(example, list) else [example]}}


@schemathesis.serializer("application/x-ndjson")
def write_lines(context, value):
    lines = value if isinstance(value, list) else [value]
    return "\n".join(json.dumps(line) for line in lines).encode()


@schemathesis.serializer("application/avro", "avro/binary")
def write_container(context, value):
    try:
        return container(value)
    except (AttributeError, KeyError, TypeError, ValueError):
        # What is no list of events has no form in Avro.
        return b"no container: " + json.dumps(value).encode()


def container(events):
    """An object container with the codec `null`."""
    if not isinstance(events, list) or any(event.keys() - {field["name"] for field in AVRO_SCHEMA["fields"]} for event in events):
        raise ValueError("not a list of events")
    schema = text(json.dumps(AVRO_SCHEMA))
    head = long(2) + text("avro.schema") + schema + text("avro.codec") + text("null") + long(0)
    block = b"".join(record(event) for event in events)
    return b"Obj\x01" + head + SYNC + long(len(events)) + long(len(block)) + block + SYNC


def record(event):
    if not isinstance(event["metadata"], dict):
        raise TypeError("metadata is an object")
    texts = text(event.get("event_id", uuid.uuid4().hex)) + text(event["user_id"]) + text(event["event_type"])
    return texts + long(event["timestamp"]) + text(json.dumps(event["metadata"]))


def text(value):
    encoded = value.encode()
    return long(len(encoded)) + encoded


def long(number):
    if number < 0 or number > EXACT_MAX or isinstance(number, (bool, float)):
        raise ValueError("not a time")
    number <<= 1
    out = b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


@schemathesis.hook
def before_call(context, case, kwargs):
    operation = case.operation.definition.raw.get("operationId")
    if case.query and case.query.get("wait") == "stored":
        # Right, but a second each time.
        case.query.pop("wait")
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    if case.query:
        # Only an answer has a cursor; and what is after what, a schema cannot say.
        case.query.pop("cursor", None)
        if "from" in case.query:
            case.query["from"] = "2025-11-24"
        if "to" in case.query:
            case.query["to"] = "2025-11-25T12:00:00Z"
        if "page" in case.query:
            case.query["page"] = 1
    if case.headers:
        if "Idempotency-Key" in case.headers:
            case.headers["Idempotency-Key"] = uuid.uuid4().hex
        if case.headers.get("Content-Encoding") in ("gzip", "zstd"):
            # Of the two, Python writes one.
            case.headers["Content-Encoding"] = "gzip"
            kwargs["auth"] = compressed
    if isinstance(case.body, (dict, list)):
        case.body = spoken(case.body)
        if operation == "login" and case.body.get("password") != "password":
            # Too many wrong passwords lock an account, for everybody who uses it.
            case.body["username"] = f"contract-{uuid.uuid4().hex}"
        if operation in ("createLeadFields", "replaceLeadFields"):
            case.body["fields"] = [defined(field, number) for number, field in enumerate(case.body["fields"])]
        if operation == "createLeadFields":
            # Of a source that nobody else uses: leads without these fields are refused from then on.
            case.body["source"] = f"{DEFINED_SOURCES}{uuid.uuid4().hex}"
        if operation == "createApiKey":
            case.body["username"] = ACCOUNT["username"]


def defined(field, number):
    """A right definition of a lead field with a name of its own and with what fits its type alone."""
    kept = ("type", "required", "description", *(("values",) if field["type"] == "enum" else ()))
    return {"name": f"field_{number}", **{key: value for key, value in field.items() if key in kept}}


def compressed(request):
    if request.body:
        body = request.body if isinstance(request.body, bytes) else request.body.encode()
        # Stored: a thousand equal items would shrink to less than a hundredth, which is refused.
        request.body = gzip.compress(body, compresslevel=0)
        request.headers["Content-Length"] = str(len(request.body))
    return request


def spoken(value, name=None):
    """A right body with those values made right for which schemas have no words: real days and countries, times that have come, exact numbers."""
    if isinstance(value, dict):
        return {key: spoken(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [spoken(inner) for inner in value]
    if isinstance(value, str):
        if name == "source" and value.startswith(DEFINED_SOURCES):
            # What was answered once is sent again elsewhere: leads of such a source need the fields that were defined for it.
            return "web"
        return {"date_of_birth": "1915-12-10", "country": "GB", "phone": "+44 20 7946 0000"}.get(name, value)
    if isinstance(value, int) and not isinstance(value, bool):
        return min(value, int(time.time())) if name == "timestamp" else max(-EXACT_MAX, min(value, EXACT_MAX))
    return value


def login():
    answer = requests.post(f"{URL}/api/v1/login", json=ACCOUNT, timeout=30)
    answer.raise_for_status()
    return answer.json()["token"]
