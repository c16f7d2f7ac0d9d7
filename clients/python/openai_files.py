"""OpenAI's Python SDK: models, files, and a batch from its upload to its results."""

import json
import time

from openai import NotFoundError, OpenAI

client = OpenAI()
model = client.models.list().data[0].id


def models():
    found = client.models.retrieve(model)
    assert found.id == model and found.object == "model" and found.owned_by, found


def files():
    content = b'{"text": "What is 17 + 25?"}\n'
    file = client.files.create(file=("sums.jsonl", content), purpose="user_data")
    assert file.filename == "sums.jsonl" and file.bytes == len(content) and file.purpose == "user_data", file
    assert file.id in [other.id for other in client.files.list(limit=1)], "page after page"
    assert client.files.retrieve(file.id).bytes == len(content)
    assert client.files.content(file.id).read() == content
    assert client.files.delete(file.id).deleted
    try:
        client.files.retrieve(file.id)
    except NotFoundError:
        return
    raise AssertionError("a deleted file is still there")


def batch():
    def line(number, url, body):
        return {"custom_id": f"job-{number}", "method": "POST", "url": url, "body": {"model": model, **body}}

    def chat(number, question):
        return line(number, "/v1/chat/completions", {"temperature": 0, "messages": [{"role": "user", "content": question}]})

    lines = [chat(n, f"What is {n} + 25?") for n in range(17, 20)] + [chat(99, {"not": "a text"})]
    upload = client.files.create(file=("jobs.jsonl", "\n".join(map(json.dumps, lines)).encode()), purpose="batch")
    made = client.batches.create(
        input_file_id=upload.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"job": "sums"}
    )
    assert made.object == "batch" and made.metadata == {"job": "sums"}, made
    for _ in range(600):
        made = client.batches.retrieve(made.id)
        if made.status in ("completed", "failed", "expired", "cancelled"):
            break
        time.sleep(0.1)
    assert made.status == "completed", made
    assert (made.request_counts.total, made.request_counts.completed, made.request_counts.failed) == (4, 3, 1), made
    results = [json.loads(line) for line in client.files.content(made.output_file_id).text.splitlines()]
    texts = {r["custom_id"]: r["response"]["body"]["choices"][0]["message"]["content"] for r in results}
    for n in range(17, 20):
        assert str(n + 25) in texts[f"job-{n}"], texts
    (failure,) = [json.loads(line) for line in client.files.content(made.error_file_id).text.splitlines()]
    assert failure["custom_id"] == "job-99" and failure["response"]["status_code"] == 400, failure
    assert made.id in [other.id for other in client.batches.list(limit=1)], "page after page"


for job in (models, files, batch):
    job()
    print(f"{job.__name__} is well")
