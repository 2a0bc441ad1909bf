"""The agent's own processes: what the agent and each of its workers cost this host."""

from collectors.agent.collector import Agent

__all__ = ["Agent"]
