"""From the latest samples to the pages that Prometheus reads."""
