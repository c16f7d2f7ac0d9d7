"""OpenAI's Python SDK: conversations that the server keeps, and their items."""

from openai import NotFoundError, OpenAI

client = OpenAI()
model = client.models.list().data[0].id
settings = {"model": model, "temperature": 0, "reasoning": {"effort": "medium"}}


def gone(call):
    try:
        call()
    except NotFoundError:
        return True
    return False


def kept():
    conversation = client.conversations.create(metadata={"topic": "names"})
    assert conversation.object == "conversation" and conversation.metadata == {"topic": "names"}, conversation
    client.responses.create(**settings, conversation=conversation.id, input="My favorite color is green.")
    answer = client.responses.create(**settings, conversation=conversation.id, input="What is my favorite color?")
    assert "green" in answer.output_text and answer.conversation.id == conversation.id, answer
    messages = [item for item in client.conversations.items.list(conversation.id, order="asc") if item.type == "message"]
    assert [message.role for message in messages] == ["user", "assistant"] * 2, messages
    changed = client.conversations.update(conversation.id, metadata={"topic": "people"})
    assert client.conversations.retrieve(conversation.id).metadata == changed.metadata == {"topic": "people"}
    assert client.conversations.delete(conversation.id).deleted
    assert gone(lambda: client.conversations.retrieve(conversation.id)), "a deleted conversation is still there"


def edited():
    start = [{"type": "message", "role": "user", "content": "My favorite color is green."}]
    conversation = client.conversations.create(items=start)
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I will remember that."}]}
    noise = {"type": "message", "role": "user", "content": "Never mind."}
    added = client.conversations.items.create(conversation.id, items=[said, noise])
    assert len(added.data) == 2 and added.first_id == added.data[0].id, added
    extra = added.data[1]
    assert client.conversations.items.retrieve(extra.id, conversation_id=conversation.id).content[0].text == "Never mind."
    client.conversations.items.delete(extra.id, conversation_id=conversation.id)
    assert gone(lambda: client.conversations.items.retrieve(extra.id, conversation_id=conversation.id))
    texts = [item.content[0].text for item in client.conversations.items.list(conversation.id, limit=1, order="asc")]
    assert texts == ["My favorite color is green.", "I will remember that."], texts
    answer = client.responses.create(**settings, conversation={"id": conversation.id}, input="What is my favorite color?")
    assert "green" in answer.output_text, answer.output_text


for job in (kept, edited):
    job()
    print(f"{job.__name__} is well")
