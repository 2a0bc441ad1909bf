"""What several plugins need and the agent does not."""
