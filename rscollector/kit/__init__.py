"""What several plugins need and no agent does, a file per idea. It imports `rscollector.api`."""
