"""OpenAI's Agents SDK: an agent hands over to another, which uses a function; over both APIs, streamed and not."""

import asyncio

from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    RunConfig,
    Runner,
    function_tool,
    handoff,
)
from agents.extensions.handoff_filters import remove_all_tools
from openai import AsyncOpenAI
from openai.types.shared import Reasoning

asked = []


@function_tool
def get_weather(city: str) -> str:
    """Get the weather in a city.

    Args:
        city: The name of the city.
    """
    asked.append(city)
    return '{"temperature":21,"sky":"sunny"}'


def desk(model):
    """A front desk that has nothing but a colleague, and the colleague. A handoff looks like a function to the model."""
    settings = ModelSettings(temperature=0, reasoning=Reasoning(effort="medium"))
    expert = Agent(name="Weather", model=model, model_settings=settings, tools=[get_weather])
    to_expert = handoff(
        expert,
        tool_name_override="get_weather_agent",
        tool_description_override="Get the weather in a city.",
        input_filter=remove_all_tools,
    )
    return Agent(name="Desk", model=model, model_settings=settings, handoffs=[to_expert])


async def main():
    client = AsyncOpenAI()
    name = (await client.models.list()).data[0].id
    private = RunConfig(tracing_disabled=True)
    for model in (OpenAIResponsesModel(name, client), OpenAIChatCompletionsModel(name, client)):
        agent, over = desk(model), type(model).__name__
        asked.clear()
        result = await Runner.run(agent, "What is the weather in Torvik?", run_config=private)
        assert asked == ["Torvik"], f"{over}: {asked}"
        assert result.last_agent.name == "Weather", f"{over}: {result.last_agent.name}"
        assert "21 degrees" in result.final_output and "sunny" in result.final_output, f"{over}: {result.final_output}"

        asked.clear()
        streamed = Runner.run_streamed(agent, "What is the weather in Torvik?", run_config=private)
        kinds = [event.item.type async for event in streamed.stream_events() if event.type == "run_item_stream_event"]
        for kind in ("handoff_call_item", "tool_call_item", "tool_call_output_item", "message_output_item"):
            assert kind in kinds, f"{over}: no {kind} in {kinds}"
        assert asked == ["Torvik"] and streamed.final_output == result.final_output, f"{over}: {streamed.final_output}"
        print(f"{over} is well")


asyncio.run(main())
